"""The call sites below a folder."""

import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

import libcst as cst

from failsoft.adoption.scan.sites import CallSite, sites_of

#: Folders that hold code of others.
_OTHERS = frozenset({"node_modules", "site-packages", "__pycache__"})


def scan(path: Path) -> Sequence[CallSite]:
    """Return the call sites of RQ, Dramatiq and Celery in a file, or in the files below a folder.

    A file that is no Python is a site of its own, which says so. Nothing is changed or imported.

    Args:
        path: The file or the folder.
    """
    return [site for file in _files(path) for site in _sites(file)]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for each in sorted(path.rglob("*.py")):
        within = each.relative_to(path).parts[:-1]
        if not any(part.startswith(".") or part in _OTHERS for part in within):
            yield each


def _sites(file: Path) -> Sequence[CallSite]:
    try:
        with tokenize.open(file) as opened:
            return sites_of(file, opened.read())
    except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError, OSError) as error:
        reason = f"it cannot be read: {type(error).__name__}"
        return [CallSite(file, 1, "", "", "", reason)]
