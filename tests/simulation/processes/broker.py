"""An engine whose broker loses, duplicates, delays and reorders, and goes away."""

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.message import Message
from tests.simulation.fault_rates import FaultRates
from tests.simulation.scheduler import TaskScheduler

LOSES, REFUSES, LOSES_REPLY, DUPLICATES, DELAYS = 0.05, 0.03, 0.06, 0.1, 0.2
DELIVERS_AGAIN = 0.05
LONGEST_DELAY = 15.0


class Broker:
    """`EngineAdapter` and its server in one.

    Attributes:
        away_until: Until when it is out of reach.
        hangs: Whether it lets callers wait then.
    """

    def __init__(self, name: str, scheduler: TaskScheduler, faults: FaultRates) -> None:
        self.name = name
        self.away_until = 0.0
        self.hangs = False
        self._scheduler = scheduler
        self._faults = faults
        self._waiting: list[tuple[float, Message]] = []
        self._ever: list[Message] = []

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        self._scheduler.moment()
        self._be_reached(deadline)
        if self._faults.strikes(REFUSES):
            raise OfferRefusedError(f"{self.name} says no")
        self._keep(message)
        self._scheduler.moment()
        if self._faults.strikes(LOSES_REPLY):
            self._faults.notice("an engine took an offer and lost the reply")
            raise OfferUncertainError(f"{self.name} lost the reply")

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        self._scheduler.moment()
        healthy = not self._is_away()
        return EngineHealth(healthy, "probed", len(self._waiting))

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        self._waiting = [each for each in self._waiting if each[1] != message]

    def take(self) -> Message | None:
        """Return any message that has arrived, in any order; sometimes one from long ago."""
        self._scheduler.moment()
        if self._is_away():
            return None
        if self._ever and self._faults.strikes(DELIVERS_AGAIN):
            self._faults.notice("a message was delivered again")
            return self._faults.rng.choice(self._ever)
        now = self._scheduler.clock.steady()
        arrived = [each for each in self._waiting if each[0] <= now]
        if not arrived:
            return None
        taken = self._faults.rng.choice(arrived)
        self._waiting.remove(taken)
        return taken[1]

    def forget(self) -> None:
        """Lose every message."""
        if self._waiting:
            self._faults.notice("a broker lost all its messages")
        self._waiting.clear()

    def _keep(self, message: Message) -> None:
        self._ever.append(message)
        if self._faults.strikes(LOSES):
            self._faults.notice("a message was lost")
            return
        for _ in range(2 if self._faults.strikes(DUPLICATES) else 1):
            late = self._faults.rng.uniform(0, LONGEST_DELAY)
            delay = late if self._faults.strikes(DELAYS) else 0.0
            self._waiting.append((self._scheduler.clock.steady() + delay, message))

    def _be_reached(self, deadline: Deadline) -> None:
        if self._is_away() and self.hangs:
            self._scheduler.sleep(deadline.remaining())
            raise OfferUncertainError(f"{self.name} does not answer")
        if self._is_away():
            raise EngineUnavailableError(f"{self.name} is away")

    def _is_away(self) -> bool:
        return self._scheduler.clock.steady() < self.away_until
