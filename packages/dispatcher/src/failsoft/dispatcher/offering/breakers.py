"""The breakers of one process: one for each engine, and one for each queue that an engine refused.

In an outage nothing is offered to the engine until probes are healthy. A refusal is an answer: it
concerns the queue that was refused (it is full, or the user has no right to it), and the other
queues go on as before (decision 0034).
"""

import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from failsoft.dispatcher.offering.breaker import Breaker, BreakerPolicy
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile

#: Only offers find a full queue of RabbitMQ: one is made after `min_open`, then after twice that
#: time, and so on this many times.
LANE_DOUBLINGS = 3


@dataclass(frozen=True, slots=True)
class Due:
    """A breaker whose probe is due.

    Attributes:
        engine: The engine's name.
        queue: The queue to probe with: the one whose offer failed, as this process may have no
            right to another.
        breaker: Where the probe is noted.
        is_lane: Whether it is the breaker of this queue alone.
    """

    engine: str
    queue: QueueProfile
    breaker: Breaker
    is_lane: bool


class Breakers:
    """Which engines get offers, for which queues."""

    def __init__(
        self, engines: Iterable[str], policy: BreakerPolicy, clock: Clock, rng: random.Random
    ) -> None:
        self._engines = {name: Breaker(policy, clock, rng) for name in engines}
        self._make_lane = partial(Breaker, policy, clock, rng, doublings=LANE_DOUBLINGS)
        self._failed_at: dict[str, QueueProfile] = {}
        self._lanes: dict[tuple[str, str], tuple[Breaker, QueueProfile]] = {}
        self._lock = threading.Lock()

    def of(self, engine: str) -> Breaker:
        """Return the breaker of an engine as a whole."""
        return self._engines[engine]

    @property
    def are_closed(self) -> bool:
        """Whether every engine gets every offer, of every queue."""
        for breaker in self._engines.values():
            if not breaker.is_closed:
                return False
        return not self._lanes or all(lane.is_closed for lane, _ in self._lanes.values())

    def blocking(self, engine: str, queue: str) -> Breaker | None:
        """Return the open breaker that keeps a queue's offers from an engine, if there is one."""
        breaker = self._engines[engine]
        if breaker.is_open:
            return breaker
        lane = self._lanes.get((engine, queue)) if self._lanes else None
        return lane[0] if lane is not None and lane[0].is_open else None

    def admits(self, engine: str, queue: str) -> bool:
        """Decide about one offer; while ramping, by chance."""
        if not self._engines[engine].admits():
            return False
        lane = self._lanes.get((engine, queue)) if self._lanes else None
        return lane is None or lane[0].admits()

    def fail(self, engine: str, queue: QueueProfile, reason: str) -> bool:
        """Note that an engine failed; return whether that opened its breaker."""
        opened = self._engines[engine].fail(reason)
        if opened:
            self._failed_at[engine] = queue
        return opened

    def refuse(self, engine: str, queue: QueueProfile, reason: str) -> bool:
        """Note that an engine refused a queue; return whether that opened the queue's breaker."""
        with self._lock:
            key = (engine, queue.name)
            if key not in self._lanes:
                # A new dict, because others read it without the lock.
                self._lanes = {**self._lanes, key: (self._make_lane(), queue)}
            breaker = self._lanes[key][0]
        return breaker.fail(reason)

    def due(self) -> Iterator[Due]:
        """Take the probes that are due; the caller must make them."""
        for engine, breaker in self._engines.items():
            if breaker.probe_due():
                yield Due(engine, self._failed_at.get(engine, DEFAULT), breaker, is_lane=False)
        for (engine, _), (breaker, queue) in self._lanes.items():
            # An engine that is away would refuse every queue.
            if not self._engines[engine].is_open and breaker.probe_due():
                yield Due(engine, queue, breaker, is_lane=True)

    @property
    def any_open(self) -> bool:
        """Whether anything is to be probed."""
        if any(breaker.is_open for breaker in self._engines.values()):
            return True
        return bool(self._lanes) and any(breaker.is_open for breaker, _ in self._lanes.values())
