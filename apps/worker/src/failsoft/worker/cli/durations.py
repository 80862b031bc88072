"""Durations on the command line, written as in the settings."""

from datetime import timedelta
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from failsoft.worker.configuration.settings import Duration

_READER: TypeAdapter[timedelta] = TypeAdapter(Duration)


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read an option like `500ms`, `25s` or `10m`; a click callback; None where not given."""
    if value is None:
        return None
    try:
        return _READER.validate_python(value)
    except ValidationError as error:
        raise click.BadParameter(str(error.errors()[0].get("ctx", {}).get("error"))) from None
