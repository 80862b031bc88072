"""`failsoft engines new`."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from failsoft.dispatcher.plugins.discovery import EngineName, installed
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import answer

#: What the template's package is called, and what its files end with.
PACKAGE, SUFFIX = "package", ".txt"
_HERE = __name__.rpartition(".")[0]


@click.command("new")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where it is made; failsoft-engine-NAME in this folder where absent.",
)
@json_option
def new_command(*, name: str, folder: Path | None, as_json: bool) -> None:
    """Make a package with a new engine, NAME, that works and passes its tests as it is.

    Its messages wait in a folder of files, which its author replaces by a broker. The package has
    both halves, settings, a bench and the conformance tests; its README says what to replace.
    """
    _check(name)
    target = folder or Path(f"failsoft-engine-{name}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionInvalidError(
            f"expected a new or an empty folder, got {target}, which has files; "
            "remove it, or name another by --folder"
        )
    written = [_write(target / path, text) for path, text in rendered(name)]
    answer(
        {"name": name, "folder": str(target), "files": [str(path) for path in written]},
        f"engine {name} is in {target}; now: cd {target} && pip install -e '.[test]' && "
        f"failsoft engines test {name}",
        "green",
        as_json=as_json,
    )


def rendered(name: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of a new engine: where each goes in its folder, and its text."""
    module = name.replace("-", "_")
    words = {
        "name": name,
        "module": module,
        "Class": "".join(part.capitalize() for part in name.split("-")),
        "VARIABLE": module.upper(),
    }
    yield from _rendered(files(_HERE) / "template", Path(), words)


def _rendered(
    folder: Traversable, place: Path, words: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    for each in sorted(folder.iterdir(), key=lambda found: found.name):
        if each.is_dir():
            is_package = each.name == PACKAGE
            name = f"failsoft_engine_{words['module']}" if is_package else each.name
            yield from _rendered(each, place / name, words)
        elif each.name.endswith(SUFFIX):
            text = Template(each.read_text(encoding="utf-8")).substitute(words)
            yield place / each.name.removesuffix(SUFFIX), text


def _check(name: str) -> None:
    try:
        engine = EngineName.parse(name)
    except ValueError as error:
        raise OptionInvalidError(str(error)) from None
    if engine.name != name:
        raise OptionInvalidError(f"expected the name of a new engine, got the alias {name!r}")
    if name in installed():
        raise OptionInvalidError(
            f"expected the name of a new engine, got {name}, which is installed; take another"
        )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
