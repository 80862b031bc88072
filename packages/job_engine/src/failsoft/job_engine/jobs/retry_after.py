"""The pause that a server requests."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: The shortest pause that is kept.
SHORTEST_WAIT = timedelta(seconds=1)
#: The longest pause that is kept.
LONGEST_WAIT = timedelta(hours=24)

_SECONDS_DIGITS = 9


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Read a `Retry-After`, in seconds or as a date; None if it says nothing that can be read."""
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=int(text[:_SECONDS_DIGITS]))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(aware - now, timedelta(0))
