"""Durations on the command line, written as in the settings."""

from datetime import timedelta

import click
from pydantic import TypeAdapter, ValidationError

from understudy.worker.settings import Duration

_READER: TypeAdapter[timedelta] = TypeAdapter(Duration)


def duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """Read an option like `500ms`, `25s` or `10m`; a click callback."""
    try:
        return _READER.validate_python(value)
    except ValidationError as error:
        raise click.BadParameter(str(error.errors()[0].get("ctx", {}).get("error"))) from None
