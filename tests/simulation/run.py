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
from tests.simulation.fault_rates import Weather
from tests.simulation.jobs.definitions import Jobs
from tests.simulation.nemesis import Nemesis
from tests.simulation.processes.broker import Broker
from tests.simulation.processes.databases import keeps_effects
from tests.simulation.processes.ledger_access import Outage
from tests.simulation.processes.restarts import House
from tests.simulation.scheduler import Conductor, Process
from tests.simulation.shared_state import FALLBACK, PRIMARY, Kind, Scene

#: How long things go wrong, and how long no job may take to end then, in seconds.
RAGES_FOR, ENDS_WITHIN = 40.0, 600.0
MOST_MOMENTS = 200_000

#: By how much faults are more frequent than they mostly are; one for each run.
SEVERITIES = (0.3, 1.0, 1.0, 2.0)

#: What the seeds are about, in turn.
KINDS = (Kind.PLAIN, Kind.CLOCK, Kind.LEDGER)

_OVER = TERMINAL | {JobState.HELD}


@dataclass
class Run:
    """What came of one seed.

    Attributes:
        wrong: What must not be.
        seen: What has happened, and how often.
        digest: Tells one run from another.
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
        conductor, weather = Conductor(rng, clock), Weather(rng, rng.choice(SEVERITIES))
        brokers = {name: Broker(name, conductor, weather) for name in (PRIMARY, FALLBACK)}
        time_of_ledger = LedgerTime(clock)
        ledger = ledger_on(time_of_ledger)
        jobs = Jobs(conductor, weather, books=keeps_effects(ledger))
        self._seed = seed
        kind = KINDS[seed % len(KINDS)]
        self._scene = Scene(
            conductor, weather, ledger, Outage(), brokers, jobs, time_of_ledger, kind
        )
        self._is_over = False

    def run(self) -> Run:
        """Let it happen, and judge it."""
        started, conductor = time.monotonic(), self._scene.conductor
        house = House(self._scene)
        conductor.spawn(Process("fate"), "unfold", lambda: self._unfold(house))
        conductor.spawn(Process("init"), "boot", house.look_after)
        conductor.run(lambda: self._is_over or conductor.moments > MOST_MOMENTS)
        lasted, moments = conductor.clock.steady(), conductor.moments
        conductor.end()
        return Run(
            self._seed,
            list(wrongs(self._scene)),
            self._scene.weather.seen,
            conductor.digest,
            moments,
            len(self._scene.kept.list_jobs()),
            lasted,
            time.monotonic() - started,
        )

    def _unfold(self, house: House) -> None:
        conductor = self._scene.conductor
        nemesis = Nemesis(self._scene, house)
        nemesis.rage(RAGES_FOR)
        nemesis.calm()
        ended, ends = 0, conductor.clock.steady() + ENDS_WITHIN
        while conductor.clock.steady() < ends and not self._all_ended(house):
            conductor.sleep(1.0)
            # A schedule that makes up for what it missed has many jobs to go through.
            if (now := self._ended()) > ended:
                ended, ends = now, conductor.clock.steady() + ENDS_WITHIN
        self._is_over = True

    def _ended(self) -> int:
        counts = self._scene.kept.counts()
        return sum(count for state, count in counts.items() if state in _OVER)

    def _all_ended(self, house: House) -> bool:
        if not house.all_dispatched:
            return False
        waiting = self._scene.kept.counts().keys() - _OVER
        if not waiting or not self._scene.clock.was_set or waiting != {JobState.SCHEDULED}:
            return not waiting
        jobs = self._scene.kept.list_jobs(limit=MOST_MOMENTS)
        return all(job.state in _OVER or self._scene.is_to_come(job) for job in jobs)
