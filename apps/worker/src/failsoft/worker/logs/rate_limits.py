"""Limits on lines that outsiders can cause: the first ones, then the number of the others."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

#: Logs one line: its kind and its fields.
Emit = Callable[[str, Mapping[str, Any]], None]

#: How many lines of a kind and a reason are logged in an interval; the others are counted.
BURSTS: Mapping[str, int] = {"message.rejected": 1, "message.refused": 100}
INTERVAL = timedelta(minutes=1)
#: How many reasons are counted separately; all further ones share a count.
MOST_REASONS = 32
#: The reason of a line that counts several reasons.
OTHERS = "other reasons"


@dataclass(slots=True)
class _Count:
    fields: Mapping[str, Any]
    logged: int = 0
    suppressed: int = 0


@dataclass(slots=True)
class FloodGate:
    """Passes the first lines of a kind and a reason in each interval, and counts the others.

    An interval begins with the first line after the last one ended. At its end each count becomes
    one line with `suppressed`, the number of lines that it represents, so that no line is missing
    from lines and counts together. Memory is bounded by `MOST_REASONS`.

    Attributes:
        emit: Logs the line of a count.
        interval: The length of an interval.
        bursts: The kinds that are limited, and how many lines of each pass in an interval.
    """

    emit: Emit
    interval: timedelta = INTERVAL
    bursts: Mapping[str, int] = field(default_factory=lambda: BURSTS)
    _counts: dict[tuple[str, str], _Count] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _timer: threading.Timer | None = field(init=False, default=None)

    def passes(self, kind: str, reason: str, fields: Mapping[str, Any]) -> bool:
        """Return whether a line is to be logged; it is counted otherwise.

        Args:
            kind: The kind of the event.
            reason: Lines of one kind with different reasons are counted separately.
            fields: The fields of the count's line, which must not differ from line to line.
        """
        burst = self.bursts.get(kind)
        if burst is None:
            return True
        with self._lock:
            if (kind, reason) not in self._counts and len(self._counts) >= MOST_REASONS:
                reason = OTHERS
            count = self._counts.setdefault((kind, reason), _Count(fields))
            self._begin_interval()
            if count.logged < burst:
                count.logged += 1
                return True
            count.suppressed += 1
            return False

    def flush(self) -> None:
        """End the interval now: log every count."""
        with self._lock:
            counts, self._counts = self._counts, {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for (kind, reason), count in counts.items():
            if count.suppressed:
                line = {**count.fields, "reason": reason, "suppressed": count.suppressed}
                self.emit(kind, line)

    def _begin_interval(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self.interval.total_seconds(), self.flush)
            self._timer.daemon = True
            self._timer.start()
