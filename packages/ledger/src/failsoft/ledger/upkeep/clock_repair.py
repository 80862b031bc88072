"""Pulling in what was written while the database's clock was ahead; see docs/explain/clocks.md."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, func, or_, select, update

from failsoft.job_engine.ports.clock import (
    BESIDE_WAITS,
    BLOCKED_PAUSE,
    DISPATCH,
    SLACK,
    LedgerClock,
    mended_terms,
    mended_time,
)
from failsoft.job_engine.records.job import HistoryEntry, JobRecord
from failsoft.job_engine.records.states import REPLACE, JobState
from failsoft.ledger.database.compiled import AnyConnection, AnyRow, read
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import in_state, jobs
from failsoft.ledger.schema.tables import (
    rate_starts,
    routes,
    sent_events,
    workers,
)
from failsoft.ledger.transitions import times
from failsoft.ledger.transitions.histories import histories
from failsoft.ledger.upkeep import clock_doubt
from failsoft.ledger.upkeep.lanes import lanes

#: Which events of a job's history say what it waits for, or until when.
Decisive = Callable[[Sequence[HistoryEntry]], Sequence[HistoryEntry]]
#: What of a job is too far ahead, by one of its events and the ledger's time.
Mended = Callable[[JobRecord, HistoryEntry, datetime], Mapping[str, datetime]]

#: How many jobs are read at a time.
PAGE = 500

_SLACK = microseconds(SLACK)
_AHEAD = now_us() + _SLACK


def _latest(column: Any, *conditions: Any) -> Any:
    # By an index each, so that a look costs the same however many jobs there are.
    return select(func.max(column)).where(*conditions).scalar_subquery()


_CLOCK = select(
    now_us().label("now"),
    _latest(jobs.c.created_at).label("recorded"),
    _latest(workers.c.seen_at).label("seen"),
)
_LATEST_PICKUP = select(func.max(jobs.c.pickup_by).label("latest")).where(
    in_state(JobState.OFFERED),
    jobs.c.engine == bindparam("engine"),
    jobs.c.queue == bindparam("queue"),
)
_NOW = select(now_us())

#: A job that waits; the last of its events that changed that says until when it should.
_WAITING = (
    select(*jobs.c)
    .where(
        jobs.c.state == JobState.SCHEDULED,
        jobs.c.run_at > now_us() + microseconds(BLOCKED_PAUSE),
        jobs.c.id > bindparam("after"),
    )
    .order_by(jobs.c.id)
    .limit(PAGE)
)
#: A job that must begin by a moment or holds a key until one; an event says how long.
_ON_TERMS = (
    select(*jobs.c)
    .where(
        or_(
            and_(jobs.c.expires_at > _AHEAD, jobs.c.started_at.is_(None)),
            jobs.c.unique_until > _AHEAD,
        ),
        jobs.c.id > bindparam("after"),
    )
    .order_by(jobs.c.id)
    .limit(PAGE)
)


def _last(history: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
    return [each for each in history if each.kind not in BESIDE_WAITS][-1:]


def _terms(history: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
    return [each for each in history if each.kind in (DISPATCH, REPLACE.name)]


_MENDED: Sequence[tuple[Select[Any], Decisive, Mended]] = (
    (_WAITING, _last, mended_time),
    (_ON_TERMS, _terms, mended_terms),
)
_BEATS = (
    update(workers)
    .where(workers.c.seen_at > _AHEAD)
    .values(live_until=now_us() + workers.c.live_until - workers.c.seen_at, seen_at=now_us())
)
_STARTS = (
    update(rate_starts)
    .where(rate_starts.c.at > _AHEAD)
    .values(expires_at=now_us() + rate_starts.c.expires_at - rate_starts.c.at, at=now_us())
)
_ROUTES = (
    update(routes)
    .where(routes.c.since > _AHEAD)
    .values(until=now_us() + routes.c.until - routes.c.since, since=now_us())
)
_NEWEST_SENT = _latest(sent_events.c.sent_at)
_SENT = (
    update(sent_events)
    .where(sent_events.c.sent_at > _AHEAD)
    # All by the same span: they stay in the order in which they were sent.
    .values(
        expires_at=sent_events.c.expires_at - bindparam("span", type_=BigInteger),
        sent_at=sent_events.c.sent_at - bindparam("span", type_=BigInteger),
    )
)


class SqlMending(SqlRole):
    """`ClockLedger` on SQL."""

    def clock(self) -> LedgerClock:
        """Look at the clock, and at the latest instants that were written by it."""
        (row,), pickups = self._database.ask(lambda c: (read(c, _CLOCK), _pickups(c)))
        found = [moment for moment in (row.recorded, row.seen) if moment is not None]
        newest, pickup = max(found, default=None), max(pickups, default=None)
        return LedgerClock(instant(row.now), newest, pickup)

    def mend(self, patience: Mapping[str, timedelta], ahead: timedelta) -> int:
        """Pull in what was written while the clock was ahead; return how much that was."""
        self._database.write(lambda c: clock_doubt.note(c, _now(c), ahead))
        count = self._database.write(lambda c: _mend_all(c, patience))
        for statement, decisive, mended in _MENDED:
            after = ""
            while found := self._database.read(partial(_page, statement, after)):
                after = found[-1][0].id
                told = [(job, event) for job, events in found for event in decisive(events)]
                count += self._database.write(partial(_mend_jobs, told, mended))
        return count


def _pickups(connection: AnyConnection) -> list[datetime]:
    """Return the latest pickup deadline of each engine and queue."""
    given = [{"engine": engine, "queue": queue} for engine, queue in lanes(connection)]
    found = [read(connection, _LATEST_PICKUP, each)[0].latest for each in given]
    return [moment for moment in found if moment is not None]


def mend_beats(connection: Connection) -> int:
    """Take a beat from ahead of the clock for as old as this look."""
    return connection.execute(_BEATS).rowcount


def _page(
    statement: Select[Any], after: str, connection: Connection
) -> Sequence[tuple[AnyRow, Sequence[HistoryEntry]]]:
    found = connection.execute(statement, {"after": after}).all()
    happened = histories(connection, found)
    return [(row, happened[row.id]) for row in found]


def _mend_all(connection: Connection, patience: Mapping[str, timedelta]) -> int:
    count = mend_beats(connection)
    count += connection.execute(_STARTS).rowcount + times.pull_in_ends(connection)
    count += connection.execute(_ROUTES).rowcount
    newest = connection.execute(select(_NEWEST_SENT)).scalar_one()
    ahead = timedelta(0) if newest is None else newest - _now(connection)
    if ahead > SLACK:
        count += connection.execute(_SENT, {"span": microseconds(ahead)}).rowcount
    # In one order everywhere, so that no two processes wait for each other.
    for queue, beyond in sorted(patience.items()):
        count += times.pull_in_pickups(connection, queue, beyond)
    return count


def _mend_jobs(
    found: Sequence[tuple[AnyRow, HistoryEntry]], mended: Mended, connection: Connection
) -> int:
    now, count = _now(connection), 0
    for row, event in found:
        changes = mended(rows.job_record(row), event, now)
        if changes:
            done = times.set_times(connection, row, changes)
            if done and "run_at" in changes:
                times.pull_in_waits(connection, row.id)
            count += done
    return count


def _now(connection: Connection) -> datetime:
    return instant(connection.execute(_NOW).scalar_one())
