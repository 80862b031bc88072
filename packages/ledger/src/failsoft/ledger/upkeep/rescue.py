"""What a rescuer sees of the jobs; every comparison of times is the database's (rule 12)."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    exists,
    or_,
    select,
    text,
)

from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.ports.ledger import RunningJob
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import NO_VALUES, AnyRow, AnySelect, execute, read
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.conditions import IS_PAUSED
from failsoft.ledger.schema.jobs import UNLIMITED, in_state, jobs
from failsoft.ledger.schema.tables import attempts, workers
from failsoft.ledger.transitions import times
from failsoft.ledger.transitions.each_value import By, distinct, first_of_each
from failsoft.ledger.upkeep import due_limited
from failsoft.ledger.upkeep import reach as reachable
from failsoft.ledger.upkeep.lanes import lanes

_UNCLAIMED = (
    select(*jobs.c)
    .where(
        in_state(JobState.OFFERED),
        jobs.c.engine == bindparam("engine"),
        jobs.c.queue == bindparam("queue"),
        jobs.c.pickup_by <= now_us(),
    )
    .order_by(jobs.c.pickup_by)
    .limit(bindparam("limit"))
)
#: Only what it had claimed by then: a claim after its death shows that the mark is wrong.
_IS_ORPHAN = exists().where(
    attempts.c.job_id == jobs.c.id,
    attempts.c.epoch == jobs.c.epoch,
    workers.c.boot_id == attempts.c.worker,
    workers.c.died_at >= attempts.c.started_at,
)
#: Whether anything is due at all: what finds out which of it costs twenty times as much.
_ANY_DUE = select(jobs.c.id).where(in_state(JobState.SCHEDULED), jobs.c.run_at <= now_us()).limit(1)
_SLACK = microseconds(SLACK)
_RUNNING = select(
    jobs.c.id,
    jobs.c.epoch,
    jobs.c.revision,
    jobs.c.lease_us,
    # No lease ends later than a whole one from now; one that does was renewed by a clock that was
    # ahead, and says nothing. Whether it is lost, the rescuer sees by its own clock.
    or_(
        jobs.c.lease_until < now_us(), jobs.c.lease_until > now_us() + jobs.c.lease_us + _SLACK
    ).label("expired"),
    _IS_ORPHAN.label("is_orphan"),
).where(in_state(JobState.RUNNING))


@lru_cache(maxsize=8)
def _due(reach: Reach | None, *, is_sqlite: bool) -> tuple[AnySelect, AnySelect]:
    """Return what finds the due jobs without limits, and those with limits."""
    within = reachable.may_offer(reach)
    return _due_unlimited(within, is_sqlite=is_sqlite), due_limited.due(within)


def _due_unlimited(within: ColumnElement[bool], *, is_sqlite: bool) -> AnySelect:
    """Find the due jobs without limits: of each priority as many as there may be in all."""
    each = distinct(jobs.c.priority, text(UNLIMITED))
    here = (jobs.c.priority == each.c.value, text(UNLIMITED), ~IS_PAUSED, within)
    limit, by = bindparam("limit", type_=Integer), By(jobs.c.run_at, now_us())
    found = first_of_each(each, select(*jobs.c).where(*here), by, limit, is_sqlite=is_sqlite)
    columns = found.selected_columns
    return found.order_by(columns.priority.desc(), columns.run_at).limit(limit)


@lru_cache(maxsize=8)
def _unclaimed(reach: Reach | None) -> AnySelect:
    return _UNCLAIMED.where(reachable.may_offer(reach))


class SqlRescue(SqlRole):
    """`RescueLedger` on SQL."""

    def due(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        """Return scheduled jobs whose time has come, the most urgent first."""
        if not self._database.ask(lambda c: execute(c, _ANY_DUE, NO_VALUES).rows):
            return []
        is_sqlite = self._database.is_sqlite

        def work(connection: Connection) -> list[AnyRow]:
            most = {"limit": limit}
            return [
                row
                for each in _due(reach, is_sqlite=is_sqlite)
                for row in connection.execute(each, most)
            ]

        found = [rows.job_record(row) for row in self._database.read(work)]
        return sorted(found, key=lambda job: (-job.priority, job.run_at))[:limit]

    def unclaimed(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        """Return offered jobs whose pickup deadline has passed."""
        statement, others = _unclaimed(reach), reach.others if reach else frozenset[str]()
        found = self._database.ask(lambda c: [each for each in lanes(c) if each[0] not in others])
        if not found:
            return []
        given = [{"engine": engine, "queue": queue, "limit": limit} for engine, queue in found]

        def work(connection: Connection) -> list[AnyRow]:
            return [row for each in given for row in connection.execute(statement, each)]

        return [rows.job_record(row) for row in self._database.read(work)]

    def hasten(self, engine: str, queue: str, beyond: timedelta) -> None:
        """Let the pickup deadlines of an engine's offers pass now that are further away."""
        self._database.write(lambda c: times.hasten_pickups(c, engine, queue, beyond))

    def running(self) -> Sequence[RunningJob]:
        """Return every running job, and whether its lease has run out, or cannot be true."""
        return [rows.running_job(row) for row in self._database.ask(lambda c: read(c, _RUNNING))]
