"""Names that are not used any more: the project's own of before, and the glossary's retired words.

`python -m tests.docs.names` prints where one stands, and ends with 1 then. A retired word is a name
in backticks in the first column of the glossary's table; a row that says in parentheses of what
it was the name retires it there only, and is not looked for.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
#: What the project was called; a stranger's package on the index is called so, too.
OLD_NAME = "under" + "study"
#: Where the old name may stand: once, to those who look for it.
TELLS = "CHANGELOG.md"
GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"

_ROW = re.compile(r"^\| (`[^|(]*) \|", re.MULTILINE)
_NAME = re.compile(r"`([A-Za-z_]\w*)`")
_WORD = re.compile(r"\w+")


class Found(NamedTuple):
    """A name that is not used any more, where it stands."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        """Return it as a compiler would say it."""
        return f"{self.path}:{self.line}: {self.name}"


def retired(glossary: str) -> frozenset[str]:
    """Return the identifiers that a glossary retires."""
    _, _, table = glossary.partition("## Retired words")
    return frozenset(name for row in _ROW.findall(table) for name in _NAME.findall(row))


def in_text(path: str, text: str, words: Iterable[str]) -> Iterator[Found]:
    """Find names in a file: the old one in any case, retired words in code only."""
    patterns = []
    if path != TELLS and OLD_NAME in text.lower():
        patterns.append(rf"(?i:{OLD_NAME})")
    if path.endswith(".py"):
        # Words apart, and only those that are there: all of them tried at each place of every file
        # took ten times as long.
        patterns += [rf"\b{word}\b" for word in sorted({*words} & {*_WORD.findall(text)})]
    for each in re.finditer("|".join(patterns), text) if patterns else ():
        yield Found(path, text.count("\n", 0, each.start()) + 1, each.group())


def in_repository() -> list[Found]:
    """Find names in everything that the repository keeps."""
    words = retired(GLOSSARY.read_text())
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: list[Found] = []
    for path in listed.stdout.splitlines():
        if (ROOT / path).is_file():
            text = (ROOT / path).read_text(errors="replace")
            found += [*in_text(path, text, words), *in_text(path, path, ())]
    return found


def main() -> int:
    """Print what is found; return the exit status."""
    found = in_repository()
    for each in found:
        sys.stdout.write(f"{each}: expected a name of the glossary, got one that is retired\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
