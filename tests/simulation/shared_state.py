"""What all processes of a run share."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from random import Random

from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.route_guards import RouteGuards
from failsoft.dispatcher.maintenance.stager import Stager
from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.dispatcher.offering.engines import Engine, EngineSet
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import LiveWorkers, Router
from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.routing.rule import RouteRule
from failsoft.job_engine.telemetry import Event
from tests.simulation.clocks import LedgerTime, ProcessClock
from tests.simulation.fault_rates import FaultRates
from tests.simulation.jobs.definitions import QUEUE, TICKS, Jobs
from tests.simulation.processes.broker import Broker
from tests.simulation.processes.ledger_access import DistantLedger, Outage
from tests.simulation.scheduler import Process, TaskScheduler

PRIMARY, FALLBACK = "rq", "dramatiq"
BUDGET = timedelta(seconds=1)
#: The pause between two looks of a rescuer.
LOOKS_EVERY = timedelta(seconds=2)
POLICY = BreakerPolicy(min_open=timedelta(seconds=2), ramp=timedelta(seconds=5))
#: How wrong the wall clock of a machine may be, in seconds.
SKEW = 3600


class Kind(Enum):
    """What a run is about besides what befalls all: a seed is of one kind."""

    PLAIN = "nothing besides"
    CLOCK = "the ledger's clock is set"
    LEDGER = "the ledger takes no writes, is silent, or is another file"
    ROUTES = "routes change, and engines are drained and paused"


class QuietEngineSet(EngineSet):
    """Starts no thread of its own; the process probes in a task."""

    def watch_in_background(self) -> None:
        """Leave it to `check`."""


@dataclass
class SharedState:
    """One run's world: time, faults, the ledger, the brokers, the jobs.

    Attributes:
        accepted: The ids of the jobs that were accepted.
        sent: When an event for a job was acknowledged.
        rules: Every rule that was set, for whatever time.
        pauses: From when to when the queue was paused.
        paused_since: Since when it is.
        clock: The ledger's clock.
        kind: What the run is about.
        ids: What the ids of jobs are drawn from: a route chooses an engine by them.
        looked_at: When the run last looked for jobs that have not ended, by the right time.
        late_tick: What was wrong with the schedule once the ledger's clock was right again.
    """

    scheduler: TaskScheduler
    faults: FaultRates
    kept: Ledger
    outage: Outage
    brokers: Mapping[str, Broker]
    jobs: Jobs
    clock: LedgerTime
    kind: Kind = Kind.PLAIN
    looked_at: datetime | None = None
    late_tick: str = ""
    ids: Random = field(default_factory=Random)
    ledgers: list[DistantLedger] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    sent: dict[str, float] = field(default_factory=dict)
    rules: list[RouteRule] = field(default_factory=list)
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    paused_since: datetime | None = None

    def pause(self) -> None:
        """Let no job begin."""
        pause = self.kept.pause(Pause("queue", QUEUE.name, "a person"))
        self.paused_since = self.paused_since or pause.since

    def resume(self) -> None:
        """Let jobs begin again."""
        now = self.clock.now()
        if self.kept.unpause("queue", QUEUE.name) and self.paused_since is not None:
            self.pauses.append((self.paused_since, now))
        self.paused_since = None

    def set_route(self, rule: RouteRule) -> RouteRule:
        """Share the jobs of the run among the engines."""
        held = self.kept.set_route(rule)
        self.rules.append(held)
        return held

    def undo_routes(self) -> None:
        """Let nothing lead the way but the order of preference, and every engine take offers."""
        for rule in self.kept.routes():
            self.kept.clear_route(*rule.match)
        for engine in (PRIMARY, FALLBACK):
            self.kept.enable_engine(engine)
            self.kept.unpause("engine", engine)

    def is_to_come(self, job: JobRecord) -> bool:
        """Return whether a job is that of a tick to come, fired while the clock was ahead of it.

        What became due after the run's last look was never waited for.
        """
        waits = job.name == self.jobs.ticking.name and job.epoch == 0 and not job.state.is_terminal
        now = self.looked_at or self.clock.now()
        return waits and self.clock.was_set and bool(job.run_at and job.run_at > now)

    def note_next_tick(self) -> None:
        """Look whether the schedule goes on as the right time has it."""
        now, records = self.kept.schedules()
        for each in (each for each in records if each.next_at > TICKS.after(now)):
            self.late_tick = f"the next of {each.name} is {each.next_at}, at {now}"

    def hear(self, event: Event) -> None:
        """Note what was emitted."""
        self.faults.notice(event.kind)

    def repeat(
        self, process: Process, name: str, seconds: float, work: Callable[[], object]
    ) -> None:
        """Let a process do something again and again, whatever the ledger says."""

        def body() -> None:
            while True:
                with suppress(LedgerError):
                    work()
                self.scheduler.sleep(self.faults.rng.uniform(0.8, 1.2) * seconds)

        self.scheduler.spawn(process, name, body)


class Parts:
    """The product, put together for one process as `failsoft.worker.wiring` does it."""

    def __init__(self, shared: SharedState) -> None:
        rng, listener = shared.faults.rng, shared.hear
        skew = timedelta(seconds=rng.uniform(-SKEW, SKEW))
        self.clock = clock = ProcessClock(shared.scheduler, skew)
        self.ledger = DistantLedger(shared.kept, shared.scheduler, shared.faults, shared.outage)
        shared.ledgers.append(self.ledger)
        self.keys = KeyRing(self.ledger.signing_keys, clock)
        known = {name: Engine(broker, DirectCaller()) for name, broker in shared.brokers.items()}
        self.engines = QuietEngineSet(known, POLICY, clock=clock, listener=listener, rng=rng)
        live = LiveWorkers(self.ledger, clock)
        self.router = Router((PRIMARY, FALLBACK), (), self.engines, live)
        tries = TryLog(self.ledger, background=False)
        self.offerer = Offerer(
            *(self.ledger, self.engines, self.keys, tries),
            clock=clock,
            listener=listener,
            budget=BUDGET,
        )
        parts = (self.ledger, self.router, self.offerer)
        stager = Stager(*parts, rng=rng, listener=listener)
        rescuer = Rescuer(*parts, listener=listener, looks_every=LOOKS_EVERY)
        cron = CronScheduler(
            self.ledger, shared.jobs.catalogue, clock=clock, listener=listener, rng=rng
        )
        guards = RouteGuards(self.ledger, self.router, clock=clock, listener=listener)
        self.maintenance = Maintenance(self.engines, stager, rescuer, cron, guards=guards)
