"""A whole Failsoft in memory: two engines, a ledger, a clock that stands still."""

import random
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from failsoft.dispatcher import Dispatcher, JobHandle
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.stager import Stager
from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.dispatcher.offering.engines import Engine, EngineSet
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import LiveWorkers, Route, Router
from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine import QueueProfile
from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.job import Claim, Conclusion, JobRecord, Ticket, WorkerRecord
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.job_engine.records.states import SUCCEED
from failsoft.testing import FrozenClock, MemoryEngine, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import new_job
from tests.unit.support.attempts import HOUR, EventList, Mail, define

BUDGET = timedelta(seconds=1)
POLICY = BreakerPolicy(ramp=timedelta(0))
WELCOME = define(lambda ctx: None)


class LeakyEngine(MemoryEngine):
    """Lets something happen after it took an offer and before it answers."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.meanwhile: Callable[[Deadline], object] = lambda deadline: None

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        super().offer(message, queue, deadline)
        self.meanwhile(deadline)


class QuietEngineSet(EngineSet):
    """Probes when a test says so, and not in a thread of its own."""

    def watch_in_background(self) -> None:
        pass


class MemoryApp:
    """Puts the parts together as the wiring does; `rq` is the primary, `dramatiq` the other."""

    def __init__(
        self,
        *,
        disabled: Sequence[str] = (),
        policy: BreakerPolicy = POLICY,
        looks_every: timedelta | None = None,
        ledger_time: Callable[[FrozenClock], Clock] = lambda clock: clock,
    ) -> None:
        self.clock = FrozenClock()
        self.ledger = MemoryLedger(ledger_time(self.clock))
        self.events = EventList()
        self.rq, self.dramatiq = LeakyEngine("rq"), LeakyEngine("dramatiq")
        adapters = {each.name: Engine(each, DirectCaller()) for each in (self.rq, self.dramatiq)}
        shared = {"clock": self.clock, "listener": self.events}
        self.engines = QuietEngineSet(adapters, policy, **shared, rng=random.Random(7))
        live = LiveWorkers(self.ledger, self.clock)
        self.router = Router(("rq", "dramatiq"), disabled, self.engines, live)
        keys = KeyRing(self.ledger.signing_keys, self.clock)
        tries = TryLog(self.ledger, background=False)
        self.offerer = Offerer(self.ledger, self.engines, keys, tries, **shared, budget=BUDGET)
        parts = (self.ledger, self.router, self.offerer)
        self.dispatcher = Dispatcher(*parts, listener=self.events)
        self.rescuer = Rescuer(*parts, listener=self.events, looks_every=looks_every)
        self.stager = Stager(*parts, listener=self.events, rng=random.Random(7))

    def dispatch(self, payload: Mail | None = None, **options: Any) -> JobHandle[Any]:
        return self.dispatcher.dispatch(WELCOME, payload or Mail(), **options)

    def route(self, queue: str = "default", engines: Sequence[str] = (), **options: Any) -> Route:
        """Order the engines for a job of a queue."""
        return self.router.route(new_job(queue=queue, engines=tuple(engines)), **options)

    def offered(self, engine: MemoryEngine) -> list[Message]:
        """Return the messages that wait in an engine's default queue."""
        return engine.messages(DEFAULT)

    def worker(self, engine: str, queue: str = "default", ttl: timedelta = HOUR) -> None:
        """Let a worker beat."""
        boot = secrets.token_hex(4)
        self.ledger.beat(WorkerRecord(boot, engine, queue, "host", 1, 8), ttl)

    def workers(self) -> None:
        """Let a worker beat on either engine."""
        self.worker("rq")
        self.worker("dramatiq")

    def claim(self, job: JobRecord, *, lease: timedelta = HOUR) -> Claim | None:
        """Claim a job as the worker does that got its newest message."""
        claim_id = secrets.token_hex(8)
        shown = Ticket(job.id, job.epoch, str(job.engine), job.queue, claim_id, "worker", lease)
        return self.ledger.claim(shown)

    def running(self, *, lease: timedelta) -> tuple[JobHandle[Any], Claim]:
        """Dispatch a job and let a worker claim it."""
        handle = self.dispatch()
        claim = self.claim(handle.job(), lease=lease)
        assert claim is not None
        return handle, claim

    def work(self, engine: MemoryEngine) -> Claim | None:
        """Take a message and claim its job; None if it is void."""
        message = engine.take(DEFAULT)
        assert message is not None, f"expected a message in {engine.name}, got none"
        shown = Ticket(
            message.job_id, message.epoch, engine.name, "default", "c" * 8, "worker", HOUR
        )
        return self.ledger.claim(shown)

    def finish(self, claim: Claim, result: str = "null") -> None:
        self.ledger.conclude(claim, Conclusion(SUCCEED, result=result))

    def tries(self, job_id: str) -> list[tuple[str, int, str, str]]:
        """Return engine, epoch, stage and outcome of every try."""
        found = self.ledger.tries(job_id)
        return [(each.engine, each.epoch, each.stage, str(each.outcome)) for each in found]
