"""A clock that moves only when a test advances it or a caller sleeps."""

import math
import threading
from datetime import UTC, datetime, timedelta

#: The default start of a frozen clock.
START = datetime(2026, 1, 1, tzinfo=UTC)


class FrozenClock:
    """`Clock` for tests: `sleep` and `advance` move it, at once.

    Attributes:
        slept: The seconds of every sleep, in order.
    """

    def __init__(self, start: datetime = START) -> None:
        self._lock = threading.Lock()
        self._start = start
        self._passed = timedelta(0)
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the aware moment at which the clock stands."""
        return self._start + self._passed

    def steady(self) -> float:
        """Return the seconds that have passed since the start."""
        return self._passed.total_seconds()

    def sleep(self, seconds: float) -> None:
        """Note the sleep and advance by it."""
        self.slept.append(seconds)
        # Rounded up: a sleep for the rest of a deadline must end after it.
        self.advance(timedelta(microseconds=math.ceil(max(0.0, seconds) * 1e6)))

    def advance(self, span: timedelta) -> None:
        """Let time pass."""
        with self._lock:
            self._passed += span
