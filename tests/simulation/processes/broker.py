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
from tests.simulation.fault_rates import Weather
from tests.simulation.scheduler import Conductor

LOSES, REFUSES, LOSES_REPLY, DUPLICATES, DELAYS = 0.05, 0.03, 0.06, 0.1, 0.2
DELIVERS_AGAIN = 0.05
LONGEST_DELAY = 15.0


class Broker:
    """`EngineAdapter` and its server in one.

    Attributes:
        away_until: Until when nobody reaches it.
        hangs: Whether it lets callers wait then.
    """

    def __init__(self, name: str, conductor: Conductor, weather: Weather) -> None:
        self.name = name
        self.away_until = 0.0
        self.hangs = False
        self._conductor = conductor
        self._weather = weather
        self._waiting: list[tuple[float, Message]] = []
        self._ever: list[Message] = []

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        self._conductor.moment()
        self._be_reached(deadline)
        if self._weather.strikes(REFUSES):
            raise OfferRefusedError(f"{self.name} says no")
        self._keep(message)
        self._conductor.moment()
        if self._weather.strikes(LOSES_REPLY):
            self._weather.notice("an engine took an offer and lost the reply")
            raise OfferUncertainError(f"{self.name} lost the reply")

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        self._conductor.moment()
        healthy = not self._is_away()
        return EngineHealth(healthy, "probed", len(self._waiting))

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        self._waiting = [each for each in self._waiting if each[1] != message]

    def take(self) -> Message | None:
        """Return any message that has arrived, in any order; sometimes one from long ago."""
        self._conductor.moment()
        if self._is_away():
            return None
        if self._ever and self._weather.strikes(DELIVERS_AGAIN):
            self._weather.notice("a message was delivered again")
            return self._weather.rng.choice(self._ever)
        now = self._conductor.clock.steady()
        arrived = [each for each in self._waiting if each[0] <= now]
        if not arrived:
            return None
        taken = self._weather.rng.choice(arrived)
        self._waiting.remove(taken)
        return taken[1]

    def forget(self) -> None:
        """Lose every message."""
        if self._waiting:
            self._weather.notice("a broker lost all its messages")
        self._waiting.clear()

    def _keep(self, message: Message) -> None:
        self._ever.append(message)
        if self._weather.strikes(LOSES):
            self._weather.notice("a message was lost")
            return
        for _ in range(2 if self._weather.strikes(DUPLICATES) else 1):
            late = self._weather.rng.uniform(0, LONGEST_DELAY)
            delay = late if self._weather.strikes(DELAYS) else 0.0
            self._waiting.append((self._conductor.clock.steady() + delay, message))

    def _be_reached(self, deadline: Deadline) -> None:
        if self._is_away() and self.hangs:
            self._conductor.sleep(deadline.remaining())
            raise OfferUncertainError(f"{self.name} does not answer")
        if self._is_away():
            raise EngineUnavailableError(f"{self.name} is away")

    def _is_away(self) -> bool:
        return self._conductor.clock.steady() < self.away_until
