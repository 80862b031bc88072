"""The filter line of lists, as `state:failed queue:default`, and the query of an address."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.job_filter import JobFilter, checked
from failsoft.job_engine.records.states import JobState

#: The words of the filter line, with the fields that they stand for.
WORDS: Mapping[str, str] = {
    "state": "states",
    "queue": "queue",
    "name": "name",
    "job": "name",
    "engine": "engine",
    "id": "id",
    "key": "key",
    "tag": "tag",
    "origin": "origin",
    "parent": "parent",
    "group": "group",
    "since": "since",
    "until": "until",
    "error": "error_type",
    "worker": "worker",
    "payload": "payload",
}
#: What a query of a list may hold besides.
_BESIDE = frozenset({"after", "limit", "q", "cols", "hours"})
_SEVERAL = frozenset({"states", "queue", "name", "engine"})
_SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MAX_LINE_CHARS = 2000


def read_filter(query: Sequence[tuple[str, str]]) -> JobFilter:
    """Return the filter of the query of an address.

    Raises:
        OptionInvalidError: A word is unknown, or a value is none of its kind.
    """
    given: dict[str, Any] = {}
    for word, value in query:
        if word == "q":
            for each, its in read_line(value):
                _put(given, each, its)
        elif word not in _BESIDE:
            _put(given, word, value)
    return checked(given)


def read_line(line: str) -> list[tuple[str, str]]:
    """Return the words of a filter line with their values; a word alone is a definition's name.

    Raises:
        OptionInvalidError: A quotation mark is left open, or the line is too long.
    """
    if len(line) > MAX_LINE_CHARS:
        raise OptionInvalidError(f"expected a filter of at most {MAX_LINE_CHARS} characters")
    try:
        parts = shlex.split(line)
    except ValueError:
        raise OptionInvalidError(
            f"expected a filter as state:failed queue:default, got {line!r}; a quotation mark is "
            "left open"
        ) from None
    found = []
    for part in parts:
        word, colon, value = part.partition(":")
        found.append((word, value) if colon and word in WORDS else ("name", part))
    return found


def line_of(wanted: JobFilter) -> str:
    """Return a filter as the line that is typed for it."""
    return " ".join(f"{word}:{_quoted(value)}" for word, value in pairs_of(wanted))


def pairs_of(wanted: JobFilter) -> list[tuple[str, str]]:
    """Return a filter as words and values, as in a query."""
    words = {field: word for word, field in reversed(list(WORDS.items()))}
    found: list[tuple[str, str]] = []
    for name, value in wanted.items():
        values = value if isinstance(value, list | tuple) else [value]
        found += [(words[name], _text(each)) for each in values]
    return found


def query_of(wanted: JobFilter, **beside: str | None) -> str:
    """Return the query of an address for a filter, with what stands beside it."""
    more = [(name, value) for name, value in beside.items() if value is not None]
    return urlencode([*pairs_of(wanted), *more])


def read_limit(text: str | None, default: int = 50) -> int:
    """Return how many rows a page has.

    Raises:
        OptionInvalidError: It is no whole number from 1 to 200.
    """
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= 200:  # noqa: PLR2004 - said below
        raise OptionInvalidError(f"expected a limit from 1 to 200, got {text[:40]!r}")
    return int(text)


def _put(given: dict[str, Any], word: str, value: str) -> None:
    field = WORDS.get(word)
    if field is None:
        raise OptionInvalidError(
            f"expected one of the words {', '.join(WORDS)} in the filter, got {word[:40]!r}"
        )
    if field in _SEVERAL:
        kept = _states(value) if field == "states" else [value]
        given.setdefault(field, []).extend(kept)
    else:
        given[field] = _moment(word, value) if field in {"since", "until"} else value


def _states(value: str) -> list[str]:
    names = [name for name in value.split(",") if name]
    for name in names:
        if name not in tuple(JobState):
            raise OptionInvalidError(f"expected a state ({', '.join(JobState)}), got {name[:40]!r}")
    return names


def _moment(word: str, value: str) -> datetime:
    try:
        number, unit = float(value[:-1]), _SPANS[value[-1:]]
        return datetime.now(UTC) - timedelta(**{unit: number})
    except (ValueError, KeyError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise OptionInvalidError(
            f"expected {word} as 90s, 10m, 2h, 3d or 2026-12-31T08:00Z, got {value[:40]!r}"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _quoted(value: str) -> str:
    return shlex.quote(value)
