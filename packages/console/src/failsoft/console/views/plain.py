"""Values of the ledger as JSON values."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from failsoft.console.payloads.policy import Number


def plain(value: Any) -> Any:
    """Return a value as JSON values; records become objects, moments ISO 8601, spans seconds."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Number):
        return _number(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def _number(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        # One that a double would change is given as it was written.
        number = float(text)
        return number if repr(number) == text else text
