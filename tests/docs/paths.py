"""What a page names in backticks: files of the repository, and what they define.

A path is taken from the root of the repository or, as `ledger/roles/attempts.py`, from a package's
source folder; `file.py::Class.method` names what the file defines.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_QUOTED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SUFFIX = r"(?:py|md|toml|pml|yaml|sql|json|lock)"
_PATH = re.compile(rf"((?:[\w.-]+/)*[\w.-]+\.{_SUFFIX}|(?:[\w.-]+/)+)(?:::([\w.]+))?")
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
_TARGET = re.compile(r"`make ([a-z-]+)")


def named_in(text: str) -> Iterator[tuple[str, str]]:
    """Return the paths that a page names in backticks, each with the name in it, or nothing."""
    for quoted in _QUOTED.findall(_FENCED.sub("", text)):
        found = _PATH.fullmatch(quoted)
        if found is not None:
            yield found.group(1), found.group(2) or ""


def links_in(text: str) -> list[str]:
    """Return the targets of a page's links to other files."""
    return [each for each in _LINK.findall(_FENCED.sub("", text)) if "://" not in each]


def targets_in(text: str) -> list[str]:
    """Return the targets of make that a page names."""
    return _TARGET.findall(text)


@cache
def source_folders() -> tuple[Path, ...]:
    """Return the folders that short paths begin in."""
    return (
        ROOT,
        *sorted(ROOT.glob("packages/*/src/failsoft")),
        *sorted(ROOT.glob("engines/*/src/failsoft")),
        ROOT / "apps/worker/src/failsoft",
    )


def find(path: str) -> Path | None:
    """Return the file or folder that a path names; None if there is none."""
    return next((each / path for each in source_folders() if (each / path).exists()), None)


def defines(file: Path, name: str) -> bool:
    """Return whether a file defines a class, function or constant; of a dotted name, every part."""
    text = file.read_text()
    return all(
        re.search(rf"^\s*(?:(?:async )?def|class) {part}\b|^{part}\b.*=", text, re.MULTILINE)
        for part in name.split(".")
    )
