"""A page of the guide: its blocks of code, and what each must print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ failsoft ([^\n#]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One python block.

    Attributes:
        code: Its code, after as many empty lines as stand before it on the page, so that a
            traceback names the page's own lines.
        printed: What it must print; None where the page does not say.
        line: The page's line before its first.
    """

    code: str
    printed: str | None
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    """Find the python blocks of a page, in their order."""
    text = page.read_text()
    found = list(_BLOCK.finditer(text))
    for block, after in zip_longest(found, found[1:]):
        if block.group(1) == "python":
            line = text.count("\n", 0, block.start()) + 1
            yield Block("\n" * line + block.group(2), _printed(text, block, after), line)


def commands_of(page: Path) -> list[str]:
    """Find the commands of `failsoft` that a page shows, without their arguments."""
    consoles = [b.group(2) for b in _BLOCK.finditer(page.read_text()) if b.group(1) == "console"]
    return [line.strip() for text in consoles for line in _COMMAND.findall(text)]


def _printed(text: str, block: re.Match[str], after: re.Match[str] | None) -> str | None:
    if after is None or after.group(1) != "text" or text[block.end() : after.start()].strip():
        return None
    return after.group(2)
