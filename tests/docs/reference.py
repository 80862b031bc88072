"""python -m tests.docs.reference [--check]: the pages of docs/reference, from the code.

Commands and options come from the command line itself, settings from their models and the
docstrings of these, errors from their classes and `error_entries.toml`. With `--check` nothing is
written: a page that is not what the code says ends it with 1.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click
from pydantic_core import PydanticUndefined

from failsoft.console.access.roles import ROLES, Permission
from failsoft.console.routes import endpoints
from failsoft.dispatcher.plugins.discovery import EngineName, installed, plugin
from failsoft.job_engine.error_codes import CODES
from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.records.states import TRANSITIONS
from failsoft.ledger.schema.tables import metadata
from failsoft.telemetry.catalogue import METRICS
from failsoft.worker.cli import main as command_line
from failsoft.worker.configuration.engine_settings import variables_model
from failsoft.worker.configuration.report import shown, variables_of
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.exit_codes import (
    CONFIG,
    FAILURE,
    OK,
    TRY_AGAIN,
    UNAVAILABLE,
    USAGE,
    exit_code,
)

ROOT = Path(__file__).parents[2]
ENTRIES = Path(__file__).with_name("error_entries.toml")
FOLDER = ROOT / "docs" / "reference"
MADE = "*Made from the code by `make reference`; `make check` compares the two.*\n"

_COLUMNS = ("| column | type | empty | refers to |", "|---|---|---|---|")
_ATTRIBUTE = re.compile(r"^    ?(\w+): (.+(?:\n {5,8}.+)*)", re.MULTILINE)


def attributes_of(model: type[object]) -> Mapping[str, str]:
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
    """Return the classes that have a code, in the order of the codes."""
    return [resolve_name(":".join(name.rsplit(".", 1))) for name in CODES]


def error_entries() -> Mapping[str, Mapping[str, str]]:
    """Return what the page says of each code beside the docstring of its class: cause and do."""
    return tomllib.loads(ENTRIES.read_text())


def error_page() -> str:
    """Return the page of errors: what causes each, what it means, and what to do."""
    parts = [
        "# Errors\n",
        MADE,
        (
            "Each message says what was expected, what came, and what to do. Its code stands in "
            "what a command prints, in the field `error_code` of a log line, in `code` of JSON and "
            "in `error.code` in a program; it is never given to another error. A program imports "
            "the classes from `failsoft.api`; the status is that of a command that ends with it.\n"
        ),
    ]
    entries = error_entries()
    for each in error_classes():
        entry = entries[each.code]
        parts.append(f"## {each.code}\n")
        parts.append(f"**`{each.__name__}`**{_kind(each)}, exit status {_status(each)}.\n")
        parts.append(f"- **Cause**: {entry['cause']}")
        parts.append(f"- **Meaning**: {_doc(each).strip()}")
        parts.append(f"- **What to do**: {entry['do']}\n")
    return "\n".join(parts).rstrip() + "\n"


def _kind(kind: type[FailsoftError]) -> str:
    bases = [base for base in kind.__bases__ if issubclass(base, FailsoftError)]
    links = [f", a kind of [`{each.__name__}`](#{each.code.lower()})" for each in bases]
    return "".join(links)


def _status(kind: type[FailsoftError]) -> int:
    # Its class alone decides; some are made with arguments of their own.
    return exit_code(kind.__new__(kind))


def _doc(kind: type[FailsoftError]) -> str:
    text = (kind.__doc__ or "").partition("\n    Args:")[0].partition("\n    Attributes:")[0]
    return "\n\n".join(" ".join(each.split()) for each in text.strip().split("\n\n")) + "\n"


def exit_statuses() -> str:
    """Return the page of exit statuses, each with the errors that end a command with it."""
    meanings = {
        OK: "all is well",
        FAILURE: "a failure, or something that is not as it should be",
        USAGE: "a wrong argument, or a dispatch that is refused",
        UNAVAILABLE: "a server of an engine is away",
        TRY_AGAIN: "the ledger is away, or a result did not come in time: try again",
        CONFIG: "a setting, a declaration or the ledger's schema is wrong",
    }
    parts = ["# Exit statuses\n", MADE, "Those of every command, as in `sysexits.h`.\n"]
    parts += ["| status | meaning | errors |", "|---|---|---|"]
    for status, meaning in meanings.items():
        kinds = [each for each in error_classes() if status != OK and _status(each) == status]
        links = [f"[{each.code}](errors.md#{each.code.lower()})" for each in kinds]
        parts.append(f"| {status} | {meaning} | {' '.join(links)} |")
    return "\n".join(parts) + "\n"


def ledger_schema() -> str:
    """Return the page of the ledger's tables, as its metadata describes them."""
    parts = [
        "# The ledger's schema\n",
        MADE,
        (
            "For queries of one's own, which only read: what writes is Failsoft, whose every "
            "write begins with a fence. `failsoft ledger upgrade` makes and changes the tables; "
            "[upgrading](../how-to/upgrading.md) says which versions may run side by side.\n"
        ),
    ]
    for table in metadata.sorted_tables:
        parts += [
            f"## `{table.name}`\n",
            "| column | type | empty | refers to |",
            "|---|---|---|---|",
        ]
        for column in table.columns:
            refers = ", ".join(f"`{key.target_fullname}`" for key in column.foreign_keys)
            name = f"`{column.name}`{', key' if column.primary_key else ''}"
            empty = "yes" if column.nullable else "no"
            parts.append(f"| {name} | {_cell(type(column.type).__name__)} | {empty} | {refers} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def transitions() -> str:
    """Return the page of what changes a job's state, each of which appends an event of its name."""
    parts = [
        "# Transitions and events\n",
        MADE,
        (
            "Each is one compare-and-set of a job's row, and appends an event of its name to the "
            "job's history: `failsoft jobs show ID`. [States](states.md) has the picture, "
            "[logs](logs.md) the log line of each.\n"
        ),
        "| event | from | to | new epoch | charged | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for each in TRANSITIONS:
        sources = ", ".join(sorted(each.sources))
        epoch = "yes" if each.new_epoch else ""
        cells = (f"`{each.name}`", sources, each.target, epoch, each.charges or "", each.meaning)
        parts.append(f"| {' | '.join(_cell(str(cell)) for cell in cells)} |")
    return "\n".join(parts) + "\n"


def console_permissions() -> str:
    """Return the page of the console's permissions: which roles have each, and what demands it."""
    meanings = attributes_of(Permission)
    parts = [
        "# Permissions of the console\n",
        MADE,
        "[The console](../how-to/console.md#who-may) says how people and programs get a role.\n",
    ]
    parts += [f"| permission | meaning | {' | '.join(ROLES)} |", f"|---|---|{'---|' * len(ROLES)}"]
    for each in Permission:
        roles = ["yes" if each in access else "" for access in ROLES.values()]
        parts.append(f"| `{each}` | {meanings[each.name]} | {' | '.join(roles)} |")
    parts += ["\n## Routes\n", "| route | permission | what it is for |", "|---|---|---|"]
    for route in endpoints():
        needed = f"`{route.permission}`" if route.permission else "none"
        parts.append(f"| `{route.methods[0]} {route.path}` | {needed} | {_cell(route.summary)} |")
    return "\n".join(parts) + "\n"


def metrics() -> str:
    """Return the page of metrics: name, kind, labels, meaning, and which program has it."""
    parts = [
        "# Metrics\n",
        MADE,
        "[Metrics](../how-to/metrics.md) says what they are worth, and how they are scraped.\n",
        "| metric | type | labels | what it says | from |",
        "|---|---|---|---|---|",
    ]
    for each in METRICS.values():
        labels = ", ".join(each.labels)
        cells = (f"`{each.family}`", str(each.kind), labels, each.meaning, each.source)
        parts.append(f"| {' | '.join(cells)} |")
    return "\n".join(parts) + "\n"


PAGES: Mapping[str, Any] = {
    "exit-codes.md": exit_statuses,
    "ledger-schema.md": ledger_schema,
    "events.md": transitions,
    "console-permissions.md": console_permissions,
    "metrics.md": metrics,
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
