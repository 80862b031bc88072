"""One run: processes, faults, healing, and the verdict."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.testing import FrozenClock, MemoryLedger
from tests.simulation.checks.verdict import wrongs
from tests.simulation.clocks import LedgerTime
from tests.simulation.fault_rates import FaultRates
from tests.simulation.jobs.definitions import Jobs
from tests.simulation.nemesis import Nemesis
from tests.simulation.processes.broker import Broker
from tests.simulation.processes.databases import keeps_effects
from tests.simulation.processes.ledger_access import Outage
from tests.simulation.processes.restarts import RestartedProcesses
from tests.simulation.scheduler import Process, TaskScheduler
from tests.simulation.shared_state import FALLBACK, PRIMARY, Kind, SharedState

#: How long things go wrong, and how long no job may take to end then, in seconds.
RAGES_FOR, ENDS_WITHIN = 40.0, 600.0
MOST_MOMENTS = 200_000

#: By how much faults are more frequent than they mostly are; one for each run.
SEVERITIES = (0.3, 1.0, 1.0, 2.0)

#: What the seeds are about, in turn.
KINDS = (Kind.PLAIN, Kind.CLOCK, Kind.LEDGER, Kind.ROUTES)

_OVER = TERMINAL | {JobState.HELD}


@dataclass
class Run:
    """What came of one seed.

    Attributes:
        wrong: What must not be.
        seen: What has happened, and how often.
        digest: Distinguishes runs.
        moments: How often the baton could be handed on.
        lasted: How much time passed in it.
        seconds: How long it took.
    """

    seed: int
    wrong: list[str]
    seen: Counter[str]
    digest: int
    moments: int
    jobs: int
    lasted: float
    seconds: float


class World:
    """Everything there is in one run."""

    def __init__(self, seed: int, ledger_on: Callable[[LedgerTime], Ledger] = MemoryLedger) -> None:
        rng, clock = random.Random(seed), FrozenClock()
        scheduler, faults = TaskScheduler(rng, clock), FaultRates(rng, rng.choice(SEVERITIES))
        brokers = {name: Broker(name, scheduler, faults) for name in (PRIMARY, FALLBACK)}
        time_of_ledger = LedgerTime(clock)
        ledger = ledger_on(time_of_ledger)
        jobs = Jobs(scheduler, faults, books=keeps_effects(ledger))
        self._seed = seed
        kind = KINDS[seed % len(KINDS)]
        self._shared = SharedState(
            scheduler, faults, ledger, Outage(), brokers, jobs, time_of_ledger, kind
        )
        self._shared.ids.seed(seed)
        self._is_over = False

    def run(self) -> Run:
        """Let it happen, and judge it."""
        started, scheduler = time.monotonic(), self._shared.scheduler
        processes = RestartedProcesses(self._shared)
        scheduler.spawn(Process("fate"), "unfold", lambda: self._unfold(processes))
        scheduler.spawn(Process("init"), "boot", processes.look_after)
        scheduler.run(lambda: self._is_over or scheduler.moments > MOST_MOMENTS)
        lasted, moments = scheduler.clock.steady(), scheduler.moments
        scheduler.end()
        return Run(
            self._seed,
            list(wrongs(self._shared)),
            self._shared.faults.seen,
            scheduler.digest,
            moments,
            len(self._shared.kept.list_jobs()),
            lasted,
            time.monotonic() - started,
        )

    def _unfold(self, processes: RestartedProcesses) -> None:
        scheduler = self._shared.scheduler
        nemesis = Nemesis(self._shared, processes)
        nemesis.rage(RAGES_FOR)
        nemesis.calm()
        ended, ends = 0, scheduler.clock.steady() + ENDS_WITHIN
        while scheduler.clock.steady() < ends and not self._all_ended(processes):
            scheduler.sleep(1.0)
            # A schedule that makes up for what it missed has many jobs to go through.
            if (now := self._ended()) > ended:
                ended, ends = now, scheduler.clock.steady() + ENDS_WITHIN
        self._is_over = True

    def _ended(self) -> int:
        counts = self._shared.kept.counts()
        return sum(count for state, count in counts.items() if state in _OVER)

    def _all_ended(self, processes: RestartedProcesses) -> bool:
        if not processes.all_dispatched:
            return False
        self._shared.looked_at = self._shared.clock.now()
        waiting = self._shared.kept.counts().keys() - _OVER
        if not waiting or not self._shared.clock.was_set or waiting != {JobState.SCHEDULED}:
            return not waiting
        jobs = self._shared.kept.list_jobs(limit=MOST_MOMENTS)
        return all(job.state in _OVER or self._shared.is_to_come(job) for job in jobs)
