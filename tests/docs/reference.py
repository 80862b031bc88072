"""python -m tests.docs.reference [--check]: the pages of docs/reference, from the code.

Commands and options come from the command line itself, settings from their models and the
docstrings of these, errors from their classes. With `--check` nothing is written: a page that is
not what the code says ends it with 1.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from failsoft.dispatcher.plugins.discovery import EngineName, installed, plugin
from failsoft.job_engine import errors
from failsoft.job_engine.errors import FailsoftError
from failsoft.worker.cli import main as command_line
from failsoft.worker.configuration.engine_settings import variables_model
from failsoft.worker.configuration.report import shown, variables_of
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.exit_codes import exit_code

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
MADE = "*Made from the code by `make reference`; `make check` compares the two.*\n"

_ATTRIBUTE = re.compile(r"^    ?(\w+): (.+(?:\n {5,8}.+)*)", re.MULTILINE)


def attributes_of(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what a model's docstring says of each attribute, one line each."""
    doc = re.sub(r"^ {4}", "", model.__doc__ or "", flags=re.MULTILINE)
    _, _, attributes = doc.partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}


def settings() -> str:
    """Return the page of settings: those of Failsoft, then those of each engine."""
    parts = [
        "# Settings\n",
        MADE,
        (
            "Each is a variable of the environment, a line of `.env` in the working directory, or "
            "a file that the variable with `_FILE` after it names. The first variable of a line "
            "beats the others. Durations are written as `500ms`, `25s`, `10m` or `2h`. `failsoft "
            "doctor --all` shows each setting with its source.\n"
        ),
        *_table(Settings, attributes_of(Settings)),
    ]
    for kind in installed():
        found = plugin(kind)
        if not found.is_for_tests and found.settings.model_fields:
            parts += [f"\n## Engine `{kind}`: {found.title}\n"]
            model = variables_model(EngineName.parse(kind))
            parts += _table(model, attributes_of(found.settings))
    return "\n".join(parts) + "\n"


def _table(model: Any, meanings: Mapping[str, str]) -> Iterator[str]:
    yield "| variable | default | meaning |"
    yield "|---|---|---|"
    for name, field in model.model_fields.items():
        variables = ", ".join(f"`{each}`" for each in variables_of(model, name))
        default = _default(field.get_default(call_default_factory=True))
        yield f"| {variables} | {default} | {_cell(meanings[name])} |"


def _default(value: object) -> str:
    if value is PydanticUndefined or value is None:
        return "none"
    # The folder that this runs in is no default.
    text = shown(value).replace(f"{Path.cwd()}/", "")
    return f"`{text}`" if text else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands() -> str:
    """Return the page of commands, each with its options."""
    parts = ["# Commands\n", MADE]
    for path, command in _commands(("failsoft",), command_line):
        parts.append(f"## `{' '.join(path)}`\n")
        parts.append(_help(command))
        options = [each for each in command.params if isinstance(each, click.Option)]
        if options and not isinstance(command, click.Group):
            parts += ["| option | meaning |", "|---|---|"]
            parts += [f"| {_spelt(each)} | {_cell(_meaning(each))} |" for each in options]
            parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _commands(
    path: tuple[str, ...], command: click.Command
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    words = [f"{each.human_readable_name}{'...' if each.nargs < 0 else ''}" for each in arguments]
    yield (*path, *words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            if not found.hidden:
                yield from _commands((*path, name), found)


def _help(command: click.Command) -> str:
    paragraphs = (command.help or "").strip().split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs) + "\n"


def _value(option: click.Option) -> str:
    if option.is_flag or option.count:
        return ""
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.metavar or option.type.name.upper()


def _spelt(option: click.Option) -> str:
    kind = _value(option)
    names = ", ".join([*option.opts, *option.secondary_opts])
    return f"`{names} {kind}`".replace(" `", "`").replace("|", "\\|")


def _meaning(option: click.Option) -> str:
    default = option.show_default and option.default
    several = " Several times." if option.multiple else ""
    said = "" if default in (None, False, ()) else f" Default: {default}."
    return f"{' '.join((option.help or '').split())}{several}{said}"


def error_classes() -> list[type[FailsoftError]]:
    """Return the classes of errors, in the order of their module."""
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    return [each for each in found if issubclass(each, FailsoftError)]


def error_page() -> str:
    """Return the page of errors: what each means, what it is a kind of, and the exit status."""
    parts = [
        "# Errors\n",
        MADE,
        (
            "Each message says what was expected, what came, and what to do. A program imports "
            "these from `failsoft.api`; the status is that of a command which ends with it.\n"
        ),
    ]
    for each in error_classes():
        bases = [base.__name__ for base in each.__bases__ if base is not Exception]
        kind = f"A [`{bases[0]}`](#{bases[0].lower()}). " if bases else ""
        parts.append(f"## {each.__name__}\n")
        parts.append(f"{kind}Exit status {_status(each)}.\n")
        parts.append(_doc(each))
    return "\n".join(parts).rstrip() + "\n"


def _status(kind: type[FailsoftError]) -> int:
    # Its class alone decides; some are made with arguments of their own.
    return exit_code(kind.__new__(kind))


def _doc(kind: type[FailsoftError]) -> str:
    text = (kind.__doc__ or "").partition("\n    Args:")[0].partition("\n    Attributes:")[0]
    return "\n\n".join(" ".join(each.split()) for each in text.strip().split("\n\n")) + "\n"


PAGES: Mapping[str, Any] = {
    "settings.md": settings,
    "commands.md": commands,
    "errors.md": error_page,
}


def main(*, check: bool) -> None:
    """Write the pages, or compare them."""
    stale = []
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    if stale:
        raise SystemExit(
            f"docs/reference: expected what the code says, got {stale}; make reference"
        )


if __name__ == "__main__":
    main(check="--check" in sys.argv[1:])
