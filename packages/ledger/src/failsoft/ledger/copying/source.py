"""Whether a ledger stands still: nothing works on it, and nothing writes to it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.roles.pauses import SqlPauses
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.upkeep.workers import SqlWorkers

#: How many workers a refusal names.
_NAMED = 5


class Counters(NamedTuple):
    """What grows with every change of a job, of the whole ledger."""

    jobs: int
    revisions: int
    events: int


class _Look(SqlWorkers, SqlPauses):
    def __init__(self, database: Database) -> None:
        self._database = database


def counters(database: Database) -> Counters:
    """Read what grows with every change of a job."""

    def work(connection: Connection) -> Counters:
        sums = (func.coalesce(func.sum(jobs.c[name]), 0) for name in ("revision", "events"))
        of_jobs = select(func.count(), *sums).select_from(jobs)
        return Counters(*map(int, connection.execute(of_jobs).one()))

    return database.read(work, limit=database.at_length)


def expect_idle(database: Database) -> None:
    """Refuse a ledger that workers work on.

    Raises:
        LedgerUnavailableError: One lives whose queue is not paused, or an attempt still runs.
    """
    look = _Look(database)
    live = look.live_workers()
    paused = {each.name for each in look.pauses() if each.kind == "queue"}
    busy = [each for each in live if each.queue not in paused]
    if busy:
        queues = " ".join(sorted({each.queue for each in busy}))
        raise LedgerUnavailableError(
            f"expected a ledger that no worker works on, got {_named(busy)}; stop them, or pause "
            f"their queues (failsoft queues pause {queues}) and wait until nothing runs. A worker "
            "that was killed counts until its heartbeat is over"
        )
    running = database.read(_running) if live else 0
    if running:
        raise LedgerUnavailableError(
            f"expected a ledger on which nothing runs, got {running} running jobs beside live "
            "workers of paused queues; wait for their end, or stop the workers"
        )


def expect_unchanged(before: Counters, now: Counters) -> None:
    """Refuse a ledger that was written to between two looks.

    Raises:
        LedgerUnavailableError: It was.
    """
    if before != now:
        grown = ", ".join(
            f"{name} {was:,} → {is_:,}"
            for name, was, is_ in zip(Counters._fields, before, now, strict=True)
            if was != is_
        )
        raise LedgerUnavailableError(
            f"expected a ledger that nothing writes to, got one that changed meanwhile ({grown}); "
            "stop the applications that dispatch to it"
        )


def clocks_apart(one: Database, other: Database) -> timedelta:
    """Return by how much the clock of another ledger's database is ahead of the one's."""
    first, second, third = (each.read(_now) for each in (one, other, one))
    return timedelta(microseconds=second - (first + third) // 2)


def _now(connection: Connection) -> int:
    return connection.execute(select(now_us())).scalar_one()


def _running(connection: Connection) -> int:
    alive = jobs.c.state == JobState.RUNNING, jobs.c.lease_until > now_us()
    return connection.execute(select(func.count()).select_from(jobs).where(*alive)).scalar_one()


def _named(workers: Sequence[WorkerRecord]) -> str:
    shown = [f"{each.engine}:{each.queue} (pid {each.pid} on {each.host})" for each in workers]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more
