"""The clock of one process."""

from datetime import datetime, timedelta

from tests.simulation.baton import Conductor


class ProcessClock:
    """Shows the wall-clock time of one machine, which may be wrong; waiting lets others go on."""

    def __init__(self, conductor: Conductor, skew: timedelta) -> None:
        self._conductor = conductor
        self._skew = skew

    def now(self) -> datetime:
        return self._conductor.clock.now() + self._skew

    def steady(self) -> float:
        return self._conductor.clock.steady()

    def sleep(self, seconds: float) -> None:
        self._conductor.sleep(seconds)
