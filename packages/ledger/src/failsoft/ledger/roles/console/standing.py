"""What jobs stand still for: events, other jobs, and the room of limits."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, BindParameter, Connection, bindparam, func, or_, select

from failsoft.job_engine.policies.limits import Limits
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import (
    MOST_COUNTED,
    Count,
    KeyUse,
    Page,
    Waiting,
    waiting_of,
)
from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.roles.console.jobs import SUMMARY, summary
from failsoft.ledger.roles.console.pages import check_limit
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import steps
from failsoft.ledger.transitions import limits as limit_writes

_WAITS, _KEYS = "waits", "limit keys"
_TOPIC: BindParameter[str] = bindparam("topic")
_JOB: BindParameter[str] = bindparam("job")
#: In the order of an index: those that wait for the same, by their ids.
_AWAITING = (
    select(*SUMMARY, jobs.c.awaits)
    .where(
        jobs.c.awaits.is_not(None),
        jobs.c.awaits >= _TOPIC,
        or_(jobs.c.awaits > _TOPIC, jobs.c.id > _JOB),
    )
    .order_by(jobs.c.awaits, jobs.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_STEPS = select(*steps.c).where(
    steps.c.job_id.in_(bindparam("jobs", expanding=True)), steps.c.kind == StepKind.WAIT
)


class SqlStanding(SqlRole):
    """`Standing` on SQL."""

    def waits(self, cursor: str | None = None, limit: int = 50) -> Page[Waiting]:
        """Return the jobs that wait for events and for other jobs."""
        check_limit(limit)
        place = cursors.read(cursor, _WAITS)
        topic, job = ("", "") if place is None else place.id.split("/", 1)

        def work(connection: Connection) -> tuple[Sequence[AnyRow], Sequence[AnyRow]]:
            given = {"topic": topic, "job": job, "most": limit + 1}
            found = connection.execute(_AWAITING, given).all()
            its = connection.execute(_STEPS, {"jobs": [row.id for row in found]}).all()
            return found, its

        found, its = self._database.read(work)
        by_job = {row.job_id: row for row in its}
        items = [_waiting(row, by_job[row.id]) for row in found[:limit] if row.id in by_job]
        after = None
        if len(found) > limit:
            last = found[limit - 1]
            after = cursors.written(Place(0, f"{last.awaits}/{last.id}"), _WAITS)
        return Page(items, after)

    def limit_keys(self, cursor: str | None = None, limit: int = 50) -> Page[KeyUse]:
        """Return the keys of limits that jobs have which have not ended."""
        check_limit(limit)
        place = cursors.read(cursor, _KEYS)
        which, key = ("0", "") if place is None else place.id.split("/", 1)

        def work(connection: Connection) -> list[tuple[str, KeyUse]]:
            found: list[tuple[str, KeyUse]] = []
            at, after = int(which), key
            while at < len(_COLUMNS) and len(found) <= limit:
                column = _COLUMNS[at]
                following = connection.execute(_NEXT[column], {"key": after}).one_or_none()
                if following is None:
                    at, after = at + 1, ""
                else:
                    after = following[0]
                    found.append((f"{at}/{after}", _use(connection, column, following.id)))
            return found

        found = self._database.read(work)
        more = len(found) > limit
        after = cursors.written(Place(0, found[limit - 1][0]), _KEYS) if more else None
        return Page([use for _, use in found[:limit]], after)


_COLUMNS = ("concurrency_key", "rate_key")
# A look into the index of the key for each, however many jobs share it.
_NEXT = {
    name: select(jobs.c[name], jobs.c.id)
    .where(jobs.c[name].is_not(None), jobs.c.finished_at.is_(None), jobs.c[name] > bindparam("key"))
    .order_by(jobs.c[name])
    .limit(1)
    for name in _COLUMNS
}
_JOB_OF = select(*jobs.c).where(jobs.c.id == bindparam("job"))
_WAITING = {
    name: select(func.count()).select_from(
        select(jobs.c.id)
        .where(
            jobs.c[name] == bindparam("key"),
            jobs.c.state == JobState.SCHEDULED,
            jobs.c.finished_at.is_(None),
        )
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    for name in _COLUMNS
}


def _use(connection: Connection, column: str, job_id: str) -> KeyUse:
    row = connection.execute(_JOB_OF, {"job": job_id}).one()
    its = rows.limits(row)
    is_rate = column == "rate_key"
    limits = Limits(rate=its.rate) if is_rate else Limits(its.concurrency)
    (use,) = limit_writes.uses(connection, limits)
    number = connection.execute(_WAITING[column], {"key": use.limit.key}).scalar_one()
    room = limit_writes.next_room(connection, use.limit) if is_rate and use.is_full else None
    return KeyUse(row.name, use, Count(min(number, MOST_COUNTED), number > MOST_COUNTED), room)


def _waiting(row: AnyRow, step: AnyRow) -> Waiting:
    return waiting_of(summary(row), rows.step_record(step), step.recorded_at)
