"""Moments on the command line: a duration that counts from now, or a date."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from failsoft.worker.cli.durations import duration
from failsoft.worker.cli.output import Option

#: How a moment is asked for in the help.
MOMENT = "DURATION|MOMENT"
_EXPECTED = "a duration as 90s, 10m or 2h, or a moment as 2026-12-31T08:00 (local time)"


def ago(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read a moment in the past, as `2h` ago or as a date; a click callback."""
    given = either(ctx, param, value)
    return datetime.now(UTC) - given if isinstance(given, timedelta) else given


def either(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read a duration, or a moment; a click callback; None where not given."""
    if value is None:
        return None
    try:
        return duration(ctx, param, value)
    except click.BadParameter:
        return moment(ctx, param, value)


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read a moment in ISO 8601, in local time unless it says otherwise; a click callback."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"expected {_EXPECTED}, got {value!r}") from None


def since_and_until(what: str) -> Callable[[Any], Any]:
    """Return the options `--since` and `--until` for what happened in between."""
    since: Option = click.option(
        "--since", metavar=MOMENT, callback=ago, help=f"Only those that were {what} since then."
    )
    until: Option = click.option(
        "--until", metavar=MOMENT, callback=ago, help=f"Only those that were {what} before that."
    )
    return lambda function: since(until(function))
