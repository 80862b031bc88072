"""Time, passed in: the wall clock for people, a steady one for waiting."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

# CLOCK_BOOTTIME goes on while the machine is suspended, so a lease looks as old as it is (rule 13).
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Where every part of Failsoft gets its time from."""

    def now(self) -> datetime:
        """Return the aware UTC wall-clock time; never used to decide authority (R17)."""
        ...

    def steady(self) -> float:
        """Return seconds that only grow, also across a suspended machine."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the aware UTC wall-clock time."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Return seconds that only grow, also across a suspended machine."""
        return time.clock_gettime(_STEADY)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a clock's steady scale by which something must be over."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, span: timedelta) -> "Deadline":
        """Return the deadline `span` from now."""
        return cls(clock, clock.steady() + span.total_seconds())

    def remaining(self) -> float:
        """Return the seconds left, never less than zero."""
        return max(0.0, self.at - self.clock.steady())

    @property
    def passed(self) -> bool:
        """Return whether the time is up."""
        return self.remaining() == 0.0

    def share(self, among: int) -> "Deadline":
        """Return the deadline of the first of `among` parties that share what is left."""
        return Deadline(self.clock, self.clock.steady() + self.remaining() / max(1, among))
