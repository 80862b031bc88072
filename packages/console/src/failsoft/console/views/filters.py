"""What templates do to values: numbers, times and texts of strangers for people."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from failsoft.console.payloads.rendering import block, brief, pieces
from failsoft.console.views.sparkline import bars
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.visible import visible

#: Stands for what is not there.
NONE = "–"  # noqa: RUF001 - a dash, and meant
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
#: States by shape, so that they are told apart without their colours.
SHAPES: Mapping[str, str] = MappingProxyType(
    {
        JobState.SCHEDULED: "◷",
        JobState.OFFERED: "◔",
        JobState.RUNNING: "●",
        JobState.SUCCEEDED: "✓",
        JobState.FAILED: "✕",
        JobState.CANCELLED: "⊘",
        JobState.HELD: "‖",
    }
)
#: What of a schedule's spec says when it fires.
_TIMING = ("cron", "tz", "every")
_MILLISECOND = 0.001
_SHOWN_IN_TENTHS = 10
_MOST_OF_A_WORD = 300


def span(value: timedelta | float | None) -> str:
    """Return a span as `4.2 s`, `11 m 5 s` or `3 h 20 m`: its two largest units."""
    if value is None:
        return NONE
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < _MILLISECOND:
        return f"{sign}{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{sign}{seconds * 1e3:.3g} ms"
    if seconds < _SHOWN_IN_TENTHS:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    for place, (size, unit) in enumerate(_UNITS):
        if whole >= size:
            smaller, name = (*_UNITS, (1, "s"))[place + 1]
            rest = whole % size // smaller
            return f"{sign}{whole // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{sign}{whole} s"


def ago(value: datetime | None) -> str:
    """Return how long ago a moment was, or in how long it is."""
    if value is None:
        return NONE
    passed = datetime.now(UTC) - value
    if abs(passed) < timedelta(seconds=1):
        return "now"
    return f"{span(passed)} ago" if passed > timedelta(0) else f"in {span(-passed)}"


def age(value: datetime | None) -> str:
    """Return how long ago a moment was, without the word."""
    return NONE if value is None else span(max(datetime.now(UTC) - value, timedelta(0)))


def iso(value: datetime | None) -> str:
    """Return a moment in UTC, for machines."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")


def utc(value: datetime | None) -> str:
    """Return a moment in UTC, for people."""
    return NONE if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(value: datetime | None) -> str:
    """Return the time of the day of a moment, in UTC."""
    return NONE if value is None else f"{value.astimezone(UTC):%H:%M:%S}"


def moment(value: float) -> datetime:
    """Return the moment of a time stamp."""
    return datetime.fromtimestamp(value, UTC)


def timing(spec: str) -> str:
    """Return when a schedule fires, from its spec."""
    try:
        fields = json.loads(spec)
        return ", ".join(f"{name} {value}" for name, value in fields.items() if name in _TIMING)
    except (ValueError, AttributeError):
        return visible(spec)


def number(value: int | None) -> str:
    """Return a number with its thousands marked."""
    return NONE if value is None else f"{value:,}"


def shape(state: Any) -> str:
    """Return the sign of a state."""
    return SHAPES.get(str(state), "◌")


def of_jobs(value: int) -> str:
    """Return a number of jobs with the word."""
    return f"{number(value)} job" if value == 1 else f"{number(value)} jobs"


def seen(value: Any) -> str:
    """Return a text on one line, with what is not printed made visible."""
    return NONE if value is None or value == "" else visible(str(value))


def word(value: Any) -> str:
    """Return a value on one line, a text without quotation marks."""
    return visible(value[:_MOST_OF_A_WORD]) if isinstance(value, str) else brief(value, 160)


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "span": span,
        "of_jobs": of_jobs,
        "ago": ago,
        "age": age,
        "iso": iso,
        "utc": utc,
        "clock": clock,
        "moment": moment,
        "timing": timing,
        "number": number,
        "shape": shape,
        "seen": seen,
        "word": word,
        "block": block,
        "brief": brief,
        "pieces": pieces,
        "bars": bars,
    }
)
