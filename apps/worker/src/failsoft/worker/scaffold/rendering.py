"""Files from a folder of templates, written as a whole or not at all."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from uuid import uuid4

from failsoft.job_engine.errors import OptionInvalidError

#: What the folder of the package is called in a template, and what the template's files end with.
PACKAGE, SUFFIX = "package", ".txt"


def rendered(
    template: Traversable, package: str, words: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    """Yield the files of a template: where each goes in its folder, and its text.

    Args:
        template: Its folder; a file without the suffix is left out.
        package: What the folder `package` becomes.
        words: What stands for each `$word` of a text.
    """
    return _rendered(template, Path(), package, words)


def _rendered(
    folder: Traversable, place: Path, package: str, words: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    for each in sorted(folder.iterdir(), key=lambda found: found.name):
        if each.is_dir():
            name = package if each.name == PACKAGE else each.name
            yield from _rendered(each, place / name, package, words)
        elif each.name.endswith(SUFFIX):
            text = Template(each.read_text(encoding="utf-8")).substitute(words)
            yield place / each.name.removesuffix(SUFFIX), text


def write(target: Path, files: Iterable[tuple[Path, str]]) -> list[Path]:
    """Write files into a new or an empty folder, and return where they are.

    They are written beside it first, so that whatever goes wrong leaves none of them behind.

    Raises:
        OptionInvalidError: There is such a file, or the folder has files.
        OSError: A file could not be written.
    """
    expect_new(target)
    beside = target.parent / f".{target.name}-{uuid4().hex}"
    beside.mkdir(parents=True)
    try:
        places = [_write(beside, place, text) for place, text in files]
        # Into the folder, not in its place: it may be the one that the shell is in.
        target.mkdir(exist_ok=True)
        for each in beside.iterdir():
            each.rename(target / each.name)
    finally:
        shutil.rmtree(beside)
    return [target / place for place in places]


def expect_new(target: Path) -> None:
    """Refuse a folder that has files.

    Raises:
        OptionInvalidError: It has, or a file is in its place.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionInvalidError(
            f"expected a new or an empty folder, got {target}, which has files; "
            "remove it, or name another by --folder"
        )


def _write(folder: Path, place: Path, text: str) -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return place
