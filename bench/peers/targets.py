"""The targets that a comparison answers: ours beside each peer, as the ratio of each round."""

from collections.abc import Collection, Iterator
from functools import partial

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
from bench.row import Bar, Row, at_least, at_most, missing

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
    beside = partial(_beside, found, ledger=ledger, figure=JOBS, bar=at_least)
    of_rq = "RQ lane, no-op jobs/s of a process, beside {}"
    yield beside(of_rq, rq, SIMPLE, RQ_SIMPLE)
    yield beside(of_rq, rq, WORKER, RQ_WORKER)
    yield beside(of_rq, rq, dbos(ledger), RQ_DBOS)
    of_two = "RQ lane, no-op jobs/s of two processes, beside one"
    yield beside(of_two, ours("rq", ledger, 2), rq, TWO_PROCESSES)
    of_dramatiq = "Dramatiq lane, no-op jobs/s of a process, beside {}"
    yield beside(of_dramatiq, dramatiq, RAW_DRAMATIQ, DRAMATIQ_RAW)
    yield beside(of_dramatiq, dramatiq, dbos(ledger), DRAMATIQ_DBOS)
    if ledger == POSTGRESQL:
        for engine, system in (("RQ", rq), ("Dramatiq", dramatiq)):
            name = f"PostgreSQL's own CPU a job, dispatch to end, {engine} lane"
            yield _alone(found, name, system, POSTGRESQL_CPU, POSTGRESQL_CPU_US, "µs", ledger)


def _pickup(found: Comparison, ledger: str) -> Iterator[Row]:
    rq = ours("rq", ledger)
    beside = partial(_beside, found, ledger=ledger, figure=PICKUP_P50, bar=at_most)
    name = "idle pickup p50, RQ lane, beside {}"
    yield beside(name, rq, WORKER, PICKUP_WORKER)
    yield beside(name, rq, SIMPLE, PICKUP_SIMPLE)
    yield _alone(found, "idle pickup p99, RQ lane", rq, PICKUP_P99, PICKUP_P99_MS, "ms", ledger)


def _bulk(found: Comparison, ledger: str) -> Iterator[Row]:
    beside = partial(_beside, found, ledger=ledger, figure=BULK, bar=at_least)
    name, rq = "dispatch_many, RQ lane, jobs/s, beside {}", ours("rq", ledger)
    if ledger == SQLITE:
        yield beside(name, rq, SIMPLE, BULK_RQ)
    else:
        yield beside(name, rq, PROCRASTINATE_NAME, BULK_PROCRASTINATE)


def _steps(found: Comparison, ledger: str) -> Iterator[Row]:
    beside = partial(_beside, found, ledger=ledger, figure=STEPS_RATE, bar=at_least)
    for engine, title in (("rq", "RQ"), ("dramatiq", "Dramatiq")):
        name = f"steps/s through the queue, {title} lane, beside {{}}"
        yield beside(name, ours(engine, ledger), dbos(ledger), STEPS_DBOS)


def _beside(
    found: Comparison,
    name: str,
    mine: str,
    other: str,
    limit: float,
    *,
    ledger: str,
    figure: str,
    bar: Bar,
) -> Row:
    name = name.format(other)
    why = found.missing.get(mine) or found.missing.get(other)
    of_rounds = ratios(found.rounds(mine, figure), found.rounds(other, figure))
    if why or not of_rounds:
        return missing(name, bar.target(limit), why or "not measured", ledger=ledger)
    details = {mine: found.median(mine, figure), other: found.median(other, figure)}
    return bar(name, limit, of_rounds, ledger=ledger, details=_with_floor(found, ledger, details))


def _alone(
    found: Comparison, name: str, mine: str, figure: str, limit: float, unit: str, ledger: str
) -> Row:
    of_rounds = found.rounds(mine, figure)
    if not of_rounds:
        why = found.missing.get(mine, "not measured")
        return missing(name, at_most.target(limit, unit), why, ledger=ledger)
    return at_most(
        name, limit, of_rounds, unit, ledger=ledger, details=_with_floor(found, ledger, {})
    )


def _with_floor(
    found: Comparison, ledger: str, details: dict[str, float | None]
) -> dict[str, float]:
    rounded = {name: float(f"{value:.4g}") for name, value in details.items() if value is not None}
    return {**rounded, f"commit floor of {ON[ledger]}, µs": found.floor(FLOOR[ledger])}
