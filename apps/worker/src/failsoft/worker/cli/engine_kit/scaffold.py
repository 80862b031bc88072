"""`failsoft engines new`."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click

from failsoft.dispatcher.plugins.discovery import EngineName, installed
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import answer
from failsoft.worker.scaffold import rendering

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
    written = rendering.write(target, rendered(name))
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
    return rendering.rendered(files(_HERE) / "template", f"failsoft_engine_{module}", words)


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
