"""What the options of several commands share: durations, moments, reasons and JSON output."""

import getpass
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from failsoft.worker.configuration.settings import (
    DEFAULT_ENGINES,
    Duration,
    read_engine_names,
)

#: How the help names a value that is a duration or a moment.
MOMENT = "DURATION|MOMENT"
_EXPECTED = "a duration as 90s, 10m or 2h, or a moment as 2026-12-31T08:00 (local time)"
_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)

#: A decorator that adds an option to a command's function.
Option = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)


def options(*each: Option) -> Option:
    """Return the decorator that adds several options, in their order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


def duration_option(*names: str, text: str, default: str | None = None) -> Option:
    """Return an option that is a duration, with its help text."""
    return click.option(
        *names,
        metavar="DURATION",
        callback=duration,
        default=default,
        show_default=default is not None,
        help=text,
    )


def engines_option(text: str) -> Option:
    """Return the option `--engines`: a list of `EngineName`, in order of preference."""
    return click.option(
        "--engines",
        default=",".join(DEFAULT_ENGINES),
        show_default=True,
        metavar="NAME,NAME",
        callback=_engines,
        help=text,
    )


def reason_option(text: str) -> Option:
    """Return the option `--reason`, with its help text."""
    return click.option("--reason", default="", help=text)


def since_and_until(what: str) -> Option:
    """Return the options `--since` and `--until`, for what happened between them."""
    return options(
        click.option(
            "--since", metavar=MOMENT, callback=ago, help=f"Only those that were {what} since then."
        ),
        click.option(
            "--until",
            metavar=MOMENT,
            callback=ago,
            help=f"Only those that were {what} before that.",
        ),
    )


def actor() -> str:
    """Return the user of this terminal, as the history of a job names it."""
    return f"{getpass.getuser()} (command line)"


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read an option like `500ms`, `25s` or `10m`; a click callback; None where not given."""
    if value is None:
        return None
    try:
        return _DURATION.validate_python(value)
    except ValidationError as error:
        raise click.BadParameter(str(error.errors()[0].get("ctx", {}).get("error"))) from None


def _engines(ctx: click.Context, param: click.Parameter, value: str) -> Any:
    try:
        return read_engine_names(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read a moment in ISO 8601, in local time unless it has a zone; a click callback."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"expected {_EXPECTED}, got {value!r}") from None


def either(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read a duration or a moment; a click callback; None where not given."""
    if value is None:
        return None
    try:
        return duration(ctx, param, value)
    except click.BadParameter:
        return moment(ctx, param, value)


def ago(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read a moment in the past, as a duration until now or as a date; a click callback."""
    given = either(ctx, param, value)
    return datetime.now(UTC) - given if isinstance(given, timedelta) else given
