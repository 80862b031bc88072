"""The clock of one process, and that of the ledger."""

from datetime import datetime, timedelta

from failsoft.testing import FrozenClock
from tests.simulation.scheduler import TaskScheduler


class LedgerTime:
    """The clock of the ledger's database: the right one, unless it was set for a while.

    Attributes:
        was_set: Whether it ever was.
    """

    def __init__(self, clock: FrozenClock) -> None:
        self.was_set = False
        self._clock = clock
        self._ahead = timedelta(0)
        self._until = 0.0

    def now(self) -> datetime:
        right = self._clock.now()
        return right + self._ahead if self.steady() < self._until else right

    def steady(self) -> float:
        return self._clock.steady()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def set(self, ahead: timedelta, seconds: float) -> None:
        """Let the clock be wrong by so much for so long."""
        self.was_set = True
        self._ahead, self._until = ahead, self.steady() + seconds

    def set_right(self) -> None:
        """Let it be right again."""
        self._until = 0.0


class ProcessClock:
    """Shows the wall-clock time of one machine, which may be wrong; waiting lets others go on."""

    def __init__(self, scheduler: TaskScheduler, skew: timedelta) -> None:
        self._scheduler = scheduler
        self._skew = skew

    def now(self) -> datetime:
        return self._scheduler.clock.now() + self._skew

    def steady(self) -> float:
        return self._scheduler.clock.steady()

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)
