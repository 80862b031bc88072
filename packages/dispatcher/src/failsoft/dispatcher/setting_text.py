"""A framework's setting as the text that an environment variable has."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from failsoft.job_engine.errors import ConfigurationError


def setting_text(name: str, value: object) -> str:
    """Return the text of a setting's value.

    Args:
        name: The setting's name, for the error.
        value: Text, a number, a path, a timedelta, a list of text or a mapping.

    Raises:
        ConfigurationError: It is something else.
    """
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float() | Path():
            return str(value)
        case timedelta():
            return f"{value.total_seconds():f}s"
        case list() | tuple() if all(isinstance(each, str) for each in value):
            return ",".join(value)
        case Mapping():
            return json.dumps(dict(value))
    raise ConfigurationError(
        f"{name}: expected text, a number, a timedelta, a list of text or a mapping, got "
        f"{type(value).__name__}"
    )
