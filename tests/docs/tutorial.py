"""The tutorial as its reader follows it: files are written, commands typed into two terminals.

A block of code whose first line is `# name` is a file. A `console` block is typed into a terminal,
the second one unless its title says `terminal 1`: `$ ` begins a command, `^C` is Ctrl-C, and what
follows is what it must print. `…` stands for anything, alone on a line for any lines; what differs
from run to run (times, ids, addresses, folders) is masked on both sides, and so is how wide the
columns of a table are.

What is typed into the first terminal stays there and goes on printing: the lines of its block must
come in their order, with others between them.
"""

import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ptyprocess import PtyProcessUnicode

from tests.servers.processes import PATIENCE, wait_until

#: What a reader's terminal has; the widths of tables depend on it.
ROWS, COLUMNS = 40, 120
PROMPT = "<the-prompt-of-the-test>"
#: As it is once the environment of the pages is active.
_PROMPTED = re.compile(rf"(?:\(\.venv\) )?{re.escape(PROMPT)}")
#: How long a command may take, in seconds: one of them installs from a network.
DEADLINE = 4 * PATIENCE
CTRL_C = "^C"
ANYTHING = "…"

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.\w+|\.env)\n")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])")
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{16,32}\b"), "ID"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms|min)\b"), "SPAN"),
    (re.compile(r"\b(?:127\.0\.0\.1|localhost):\d+"), "ADDRESS"),
    (re.compile(r"/[\w./-]+/\.failsoft\b"), "FOLDER"),
    # A count that is none is not masked.
    (re.compile(r"\b[1-9]\d* by (rq|dramatiq)"), r"SOME by \1"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed, and what it must print.

    Attributes:
        typed: The line, `^C`, or nothing.
        printed: The lines that must come.
        in_first: Whether it is typed into the first terminal.
        stays: Whether it goes on there; its lines are then looked for among others.
        where: Its page and line, for messages.
    """

    typed: str
    printed: str
    in_first: bool
    stays: bool
    where: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


def actions_of(page: Path) -> Iterator[Command | File]:
    """Return what a page has its reader do, in order."""
    text = page.read_text()
    for block in _BLOCK.finditer(text):
        kind, title, body = block.groups()
        line = text.count("\n", 0, block.start()) + 1
        if kind == "console":
            in_first = "terminal 1" in title
            for typed, printed in _commands(body):
                stays = in_first and bool(printed)
                yield Command(typed, printed, in_first, stays, f"{page.name}:{line}")
        elif named := _FILE.match(body):
            # A dotfile's name is no line of it.
            yield File(named.group(1), body)


def _commands(body: str) -> Iterator[tuple[str, str]]:
    for each in re.split(rf"^(?=\$ |{re.escape(CTRL_C)}$)", body, flags=re.MULTILINE):
        typed, _, printed = each.partition("\n")
        if typed.startswith("$ ") or typed == CTRL_C:
            yield typed.removeprefix("$ "), printed
        elif each:
            # Of what was begun in a block before.
            yield "", each


def masked(text: str) -> str:
    """Return a text without what differs from run to run."""
    text = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return "\n".join(line.strip() for line in text.strip("\n").split("\n"))


def pattern_of(printed: str) -> str:
    """Return the pattern of what a page says is printed."""
    lines = masked(printed).split("\n")
    return "\n".join(
        "(?s:.*?)" if line == ANYTHING else re.escape(line).replace(ANYTHING, ".*?")
        for line in lines
    )


class Terminal:
    """A shell in a pseudo-terminal, in a folder.

    Args:
        folder: Where it begins.
        env: Its whole environment.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._shell = PtyProcessUnicode.spawn(
            ["bash", "--norc", "--noprofile", "--noediting"],
            cwd=str(folder),
            env={**env, "PS1": PROMPT, "PS2": "", "TERM": "dumb"},
            echo=False,
            dimensions=(ROWS, COLUMNS),
        )
        self._printed = ""
        self._seen = 0
        # What nothing reads would fill the terminal, and halt the program that prints.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._until_prompt("a shell")

    def do(self, command: Command) -> None:
        """Type a command, and wait until it has ended or, where it stays, is at work.

        Raises:
            AssertionError: It did not, or did not print what the page says.
        """
        if command.typed == CTRL_C:
            self._shell.sendintr()
        elif command.typed:
            self._shell.write(f"{command.typed}\n")
        if command.stays:
            for line in command.printed.splitlines():
                self._until_line(line, command.where)
            return
        printed = masked(self._until_prompt(f"{command.where}: {command.typed} to end"))
        if command.typed != CTRL_C and not re.fullmatch(pattern_of(command.printed), printed):
            raise AssertionError(
                f"{command.where}: expected {command.typed!r} to print\n"
                f"{masked(command.printed)}\ngot\n{printed}"
            )

    def close(self) -> None:
        """End the shell, and what still runs in it."""
        if not self._printed.endswith(PROMPT):
            self._shell.sendintr()
            with suppress(AssertionError):
                self._until_prompt("an end")
        self._shell.kill(signal.SIGKILL)
        # The terminal cannot be closed while it is read, which ends with its last program.
        self._reader.join(PATIENCE)
        self._shell.close()

    def _read(self) -> None:
        with suppress(EOFError, OSError, ValueError):
            while True:
                self._printed += self._shell.read()

    def _until_prompt(self, what: str) -> str:
        self._wait(lambda: PROMPT in self._printed[self._seen :], what)
        printed = self._printed[self._seen :]
        prompt = _PROMPTED.search(printed)
        assert prompt
        self._seen += prompt.end()
        return printed[: prompt.start()]

    def _until_line(self, line: str, where: str) -> None:
        pattern = pattern_of(line)

        def passed() -> bool:
            while "\n" in self._printed[self._seen :]:
                end = self._printed.index("\n", self._seen) + 1
                found = re.fullmatch(pattern, masked(self._printed[self._seen : end]))
                self._seen = end
                if found:
                    return True
            return False

        self._wait(passed, f"{where}: {line}")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, DEADLINE, what)
        except AssertionError as late:
            raise AssertionError(f"{late}, got\n{masked(self._printed)[-4000:]}") from None
