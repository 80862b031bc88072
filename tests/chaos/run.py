"""One chaos run: load, faults, heal, drain, check."""

import threading
import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from failsoft.job_engine.invariants import history_of
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from failsoft.ledger.verify import verify
from tests.chaos.faults.brokers.all import broker_faults
from tests.chaos.faults.clock import ClockFaults
from tests.chaos.faults.commands import CommandsFaults
from tests.chaos.faults.ledger import ledger_faults
from tests.chaos.faults.links import LinksFaults
from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.faults.other_programs import OtherPrograms
from tests.chaos.faults.processes import ProcessesFaults
from tests.chaos.faults.routes import RoutesFaults
from tests.chaos.faults.schedule import Fired, Journal, lanes
from tests.chaos.feature_counts import attempts_on, met, never_met
from tests.chaos.history.evidence import Evidence, gather
from tests.chaos.history.timeline import Timeline
from tests.chaos.plan import Plan
from tests.chaos.progress import Progress
from tests.chaos.promises.checks import vacuous, violations
from tests.chaos.promises.requests import healthy_again
from tests.chaos.report import Report, count, last_to_end
from tests.chaos.stalls import Stalls, noted
from tests.chaos.system.servers import Servers
from tests.chaos.system.topology import Topology
from tests.chaos.workload.app_transactions import orders_in
from tests.chaos.workload.business_table import effects_in
from tests.chaos.workload.definitions import SCHEDULED
from tests.chaos.workload.operations import BROKEN, operations
from tests.deployments.effect_log import EffectLog, now
from tests.servers.processes import PATIENCE

T = TypeVar("T")

#: Where no job may stay; one that is held waits for a person.
OPEN = tuple(state for state in JobState if not state.is_terminal and state is not JobState.HELD)
ALL = 1_000_000
#: How often a run looks whether something has come about, in seconds.
LEISURE = 0.3
#: How many times the patience of a drain it may last in all.
LONGEST = 3


class Listing(Protocol):
    """What a drain reads of a ledger."""

    def list_jobs(self, *, states: Sequence[JobState], limit: int) -> Sized:
        """Return the jobs in these states."""
        ...


@dataclass
class Run:
    """Does what a plan says, in a folder, and reports."""

    plan: Plan
    folder: Path
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    stalls: list[Fired] = field(default_factory=list)

    def __call__(self) -> Report:
        """Run to the end; whatever happens, nothing is left running."""
        plan = self.plan
        servers = Servers(self.folder, plan.ledger, plan.engines)
        try:
            self.progress.phase("servers start")
            servers.start()
            topology = Topology(servers, plan.seed, plan.rate, plan.engines)
            with topology, Stalls(self.stalls.append):
                return self._perform(topology)
        finally:
            servers.stop()

    def _perform(self, topology: Topology) -> Report:
        self.progress.phase("processes start, and load begins")
        topology.start()
        _pass(self.plan.load)
        self.progress.phase(f"faults for {self.plan.faults:g} s")
        nemeses = all_nemeses(topology)
        journal = self._break(topology, nemeses)
        self.progress.phase("heal")
        self._timed("heal", lambda: self._heal(topology))
        healed = now()
        self._timed("tail", lambda: _within(PATIENCE, lambda: _is_healthy(topology, healed)))
        topology.retire_dispatchers()
        self.progress.phase("drain")
        ledger = SqlLedger(topology.servers.database)
        for schedule in SCHEDULED:
            ledger.pause_schedule(schedule)
        self._timed("drain", lambda: drain(ledger, self.plan.drain))
        # What is left is looked at as it is: nothing may run on while the evidence is gathered.
        topology.end_all()
        self.progress.phase("check")
        return self._check(topology, journal, nemeses, healed)

    def _break(self, topology: Topology, nemeses: Sequence[Nemesis]) -> Journal:
        journal = Journal(self.progress.fired)
        running = lanes(nemeses, self.plan.seed, journal)
        for lane in running:
            lane.start()
        _pass(self.plan.faults)
        for lane in running:
            lane.end()
        for lane in running:
            lane.join()
        return journal

    def _heal(self, topology: Topology) -> None:
        topology.heal()
        topology.wait_for_workers()

    def _check(
        self,
        topology: Topology,
        journal: Journal,
        nemeses: Sequence[Nemesis],
        healed: int,
    ) -> Report:
        database = topology.servers.database
        evidence = self._timed("gather", lambda: self._gather(topology, journal))
        found = [*chain.from_iterable(each.violations for each in verify(database))]
        found += violations(evidence, healed)
        logs = [actor.log for actor in topology.actors if actor.log.exists()]
        counts = count(evidence, logs) | {"kinds of nemesis": len(journal.by_kind())}
        fired = journal.by_kind()
        features, ran = met(evidence), attempts_on(evidence, self.plan.engines)
        missing = [f"never struck: {each.kind}" for each in nemeses if each.kind not in fired]
        missing += never_met(features | ran)
        return Report(
            self.plan,
            self.folder,
            counts | ran,
            features,
            fired,
            {actor.name: actor.boots for actor in topology.actors},
            self.seconds,
            found,
            [
                *vacuous(counts, self.plan.least),
                *(missing if self.plan.expects_everything else ()),
                *journal.errors(),
                *(str(each.answer) for each in evidence.operations if each.kind == BROKEN),
            ],
            last_to_end(evidence, healed),
        )

    def _gather(self, topology: Topology, journal: Journal) -> Evidence:
        return replace(
            _gather(topology),
            strikes=[*journal.fired, *self.stalls, *noted(topology.stalls)],
            workers=topology.worker_names(),
            pooled=topology.pooled,
            orders=orders_in(topology.servers.database),
        )

    def _timed(self, what: str, do: Callable[[], T]) -> T:
        began = monotonic()
        try:
            return do()
        finally:
            self.seconds[what] = monotonic() - began


def all_nemeses(topology: Topology) -> list[Nemesis]:
    """Every misfortune that this topology can have."""
    servers = topology.servers
    return [
        *ProcessesFaults(topology).all(),
        *LinksFaults(topology).all(),
        *broker_faults(servers.brokers),
        *ledger_faults(servers),
        *ClockFaults(servers.clock).all(),
        *OtherPrograms(topology).all(),
        *CommandsFaults(topology).all(),
        *RoutesFaults(topology).all(),
    ]


def _gather(topology: Topology) -> Evidence:
    ledger = SqlLedger(topology.servers.database)
    histories = [history_of(ledger, job.id) for job in ledger.list_jobs(limit=ALL)]
    requests = operations(path for path in topology.operation_logs if path.exists())
    offset = time.time_ns() // 1000 - now()
    clock = topology.servers.clock
    leaps = clock.leaps if clock is not None else ()
    return gather(
        histories,
        requests,
        EffectLog(topology.effect_log).lines(),
        effects=effects_in(topology.servers.database),
        schedules=ledger.schedules()[1],
        freezes=topology.freezes,
        time=Timeline(offset, leaps),
    )


def _is_healthy(topology: Topology, healed: int) -> bool:
    requests = operations(path for path in topology.operation_logs if path.exists())
    answered = [each for each in requests if each.returned]
    actors = {actor.name for actor in topology.of_role("dispatcher")}
    return actors <= {each.actor for each in answered} and not list(
        healthy_again(gather([], answered, []), healed)
    )


def drain(ledger: Listing, patience: float) -> None:
    """Wait until every job has ended; on a busy machine for longer, as long as fewer are left."""
    began = moved = monotonic()
    least = waiting = _waiting(ledger)
    while waiting and monotonic() < min(moved + patience, began + LONGEST * patience):
        _pass(LEISURE)
        waiting = _waiting(ledger)
        if waiting < least:
            least, moved = waiting, monotonic()


def _waiting(ledger: Listing) -> int:
    return len(ledger.list_jobs(states=OPEN, limit=ALL))


def _within(seconds: float, met: Callable[[], bool]) -> None:
    """Wait for a condition, at leisure; whether it was met in time is for the checks to say."""
    deadline = monotonic() + seconds
    while not met() and monotonic() < deadline:
        _pass(LEISURE)


def _pass(seconds: float) -> None:
    threading.Event().wait(seconds)
