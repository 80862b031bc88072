"""The targets that a comparison answers: ours beside each peer, as the ratio of each round."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bench.floors import POSTGRESQL as POSTGRESQL_FLOOR
from bench.floors import SQLITE as SQLITE_FLOOR
from bench.peers.catalogue import (
    ON,
    POSTGRESQL,
    PROCRASTINATE_NAME,
    RAW_DRAMATIQ,
    SIMPLE,
    SQLITE,
    WORKER,
    dbos,
    ours,
)
from bench.peers.comparison import BULK_KIND, LANES, PICKUP, STEPS, Comparison, ratios
from bench.peers.running import (
    BULK,
    JOBS,
    PICKUP_P50,
    PICKUP_P99,
    POSTGRESQL_CPU,
    STEPS_RATE,
)
from bench.report.row import Bar, Row, at_least, at_most, missing

FLOOR = {SQLITE: SQLITE_FLOOR, POSTGRESQL: POSTGRESQL_FLOOR}

#: The least, in times the other's: jobs a second of a worker process.
RQ_SIMPLE, RQ_WORKER, RQ_DBOS, TWO_PROCESSES = 3.0, 20.0, 1.2, 1.6
DRAMATIQ_RAW, DRAMATIQ_DBOS = 0.4, 1.3
#: The most, in times the other's: how long a job waits for an idle worker.
PICKUP_WORKER, PICKUP_SIMPLE = 0.25, 1.0
PICKUP_P99_MS = 25.0
#: The least: jobs a second at once, steps a second.
BULK_RQ, BULK_PROCRASTINATE, STEPS_DBOS = 1.0, 0.7, 6.0
POSTGRESQL_CPU_US = 500.0


def rows(found: Comparison, kinds: Collection[str], ledgers: Collection[str]) -> Iterator[Row]:
    """Return the rows of what was measured on each ledger."""
    makers = {LANES: _lanes, PICKUP: _pickup, BULK_KIND: _bulk, STEPS: _steps}
    for ledger in ledgers:
        for kind, make in makers.items():
            if kind in kinds:
                yield from make(found, ledger)


def _lanes(found: Comparison, ledger: str) -> Iterator[Row]:
    rq, dramatiq = ours("rq", ledger), ours("dramatiq", ledger)
    lane = Measure(found, ledger, JOBS, at_least)
    of_rq = "RQ lane, no-op jobs/s of a process, beside {}"
    yield lane.beside(of_rq, rq, SIMPLE, RQ_SIMPLE)
    yield lane.beside(of_rq, rq, WORKER, RQ_WORKER)
    yield lane.beside(of_rq, rq, dbos(ledger), RQ_DBOS)
    of_two = "RQ lane, no-op jobs/s of two processes, beside one"
    yield lane.beside(of_two, ours("rq", ledger, 2), rq, TWO_PROCESSES)
    of_dramatiq = "Dramatiq lane, no-op jobs/s of a process, beside {}"
    yield lane.beside(of_dramatiq, dramatiq, RAW_DRAMATIQ, DRAMATIQ_RAW)
    yield lane.beside(of_dramatiq, dramatiq, dbos(ledger), DRAMATIQ_DBOS)
    if ledger == POSTGRESQL:
        cpu = Measure(found, ledger, POSTGRESQL_CPU, at_most, "µs")
        for engine, system in (("RQ", rq), ("Dramatiq", dramatiq)):
            name = f"PostgreSQL's own CPU a job, dispatch to end, {engine} lane"
            yield cpu.alone(name, system, POSTGRESQL_CPU_US)


def _pickup(found: Comparison, ledger: str) -> Iterator[Row]:
    rq, pickup = ours("rq", ledger), Measure(found, ledger, PICKUP_P50, at_most)
    name = "idle pickup p50, RQ lane, beside {}"
    yield pickup.beside(name, rq, WORKER, PICKUP_WORKER)
    yield pickup.beside(name, rq, SIMPLE, PICKUP_SIMPLE)
    longest = Measure(found, ledger, PICKUP_P99, at_most, "ms")
    yield longest.alone("idle pickup p99, RQ lane", rq, PICKUP_P99_MS)


def _bulk(found: Comparison, ledger: str) -> Iterator[Row]:
    bulk = Measure(found, ledger, BULK, at_least)
    name, rq = "dispatch_many, RQ lane, jobs/s, beside {}", ours("rq", ledger)
    if ledger == SQLITE:
        yield bulk.beside(name, rq, SIMPLE, BULK_RQ)
    else:
        yield bulk.beside(name, rq, PROCRASTINATE_NAME, BULK_PROCRASTINATE)


def _steps(found: Comparison, ledger: str) -> Iterator[Row]:
    steps = Measure(found, ledger, STEPS_RATE, at_least)
    for engine, title in (("rq", "RQ"), ("dramatiq", "Dramatiq")):
        name = f"steps/s through the queue, {title} lane, beside {{}}"
        yield steps.beside(name, ours(engine, ledger), dbos(ledger), STEPS_DBOS)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a comparison on one ledger, and on which side of a limit it is to be."""

    found: Comparison
    ledger: str
    figure: str
    bar: Bar
    unit: str = "x"

    def beside(self, name: str, mine: str, other: str, limit: float) -> Row:
        """Return the row of how often ours has the other's figure, round by round."""
        of_rounds = ratios(self._rounds(mine), self._rounds(other))
        return self._row(name.format(other), of_rounds, limit, (mine, other))

    def alone(self, name: str, mine: str, limit: float) -> Row:
        """Return the row of the figure itself."""
        return self._row(name, self._rounds(mine), limit, (mine,))

    def _row(
        self, name: str, rounds: Sequence[float], limit: float, systems: Collection[str]
    ) -> Row:
        if rounds:
            bar, details = self.bar, self._details(systems)
            return bar(name, limit, rounds, self.unit, ledger=self.ledger, details=details)
        failed = [self.found.missing[each] for each in systems if each in self.found.missing]
        why = failed[0] if failed else "not measured"
        return missing(name, self.bar.target(limit, self.unit), why, ledger=self.ledger)

    def _rounds(self, system: str) -> Sequence[float]:
        return self.found.rounds(system, self.figure)

    def _details(self, systems: Collection[str]) -> dict[str, float]:
        medians = {each: self.found.median(each, self.figure) for each in systems}
        floor = f"commit floor of {ON[self.ledger]}, µs"
        return {
            **{name: float(f"{value:.4g}") for name, value in medians.items() if value is not None},
            floor: self.found.floor(FLOOR[self.ledger]),
        }
