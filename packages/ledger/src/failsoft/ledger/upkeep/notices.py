"""Notices that are told on SQL: the mark and the jobs that tell are one transaction."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, literal, or_, select, update

from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.ports.clock import BLOCKED_PAUSE
from failsoft.job_engine.ports.console import Notice
from failsoft.job_engine.ports.notices import (
    MOST_TOLD,
    UNSERVED_AFTER,
    Digest,
    Pending,
    Telling,
    Untold,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import digests, notices, pauses, workers
from failsoft.ledger.transitions import insert
from failsoft.ledger.transitions.notices import note

#: How long a digest is kept whose rule is there no more, or tells nothing.
_DIGESTS_FOR = timedelta(days=8)
_HOUR = timedelta(hours=1)

_NOW = select(now_us())
_UNTOLD = (
    select(*notices.c, jobs.c.name, jobs.c.error)
    .outerjoin_from(notices, jobs, jobs.c.id == notices.c.job_id)
    .where(notices.c.told_at.is_(None))
    .order_by(notices.c.at, notices.c.id)
    .limit(bindparam("limit"))
)
# A column called `count` is hidden by the method of a row.
_DIGESTS = select(*digests.c, digests.c.count.label("waiting")).order_by(
    digests.c.rule, digests.c.topic
)
_STATE = ("until", "count")


class SqlNotices(SqlRole):
    """`NoticeLedger` on SQL."""

    def pending_notices(self, limit: int = MOST_TOLD) -> Pending:
        """Return the oldest notices that were not told, and every digest."""

        def work(connection: Connection) -> Pending:
            # The time is read first: a notice that is found is no younger than a moment after it.
            now = instant(connection.execute(_NOW).scalar_one())
            kept = [_digest(row) for row in connection.execute(_DIGESTS)]
            found = connection.execute(_UNTOLD, {"limit": limit})
            return Pending(now, [_untold(row) for row in found], kept)

        return self._database.read(work)

    def tell(self, telling: Telling) -> bool:
        """Mark notices as told and record the jobs that tell them, in one transaction."""
        try:
            self._database.write(lambda c: _mark_and_record(c, telling, self._actor), "tell")
        except _OthersWereFirstError:
            return False
        return True

    def note_unserved(self) -> Sequence[str]:
        """Record a notice for each queue in which a job waits and that no live worker serves."""
        found = self._database.read(lambda c: c.execute(_UNSERVED).scalars().all())
        return self._database.write(_note_unserved) if found else []


class _OthersWereFirstError(LedgerError):
    """A notice was told, or a digest has changed, since they were read; all is undone."""


def _mark_and_record(connection: Connection, telling: Telling, actor: str) -> None:
    # The locks in one order, so that of two that tell the same one waits and finds it told.
    ids = sorted(telling.notices)
    still = notices.c.id.in_(ids), notices.c.told_at.is_(None)
    untold = select(notices.c.id).where(*still).order_by(notices.c.id).with_for_update()
    if len(connection.execute(untold).all()) != len(ids):
        raise _OthersWereFirstError
    connection.execute(update(notices).where(*still).values(told_at=now_us()))
    changes = sorted(telling.digests, key=lambda each: (each[1].rule, each[1].topic))
    for seen, new in changes:
        _change_digest(connection, seen, new)
    for job in telling.jobs:
        insert.insert_job(connection, job, None, actor)
    if changes:
        gone = digests.c.until < now_us() - microseconds(_DIGESTS_FOR)
        connection.execute(delete(digests).where(gone))


def _change_digest(connection: Connection, seen: Digest | None, new: Digest) -> None:
    values = {name: getattr(new, name) for name in (*_STATE, "first_at", "last_at")}
    values["examples"] = json.dumps([dict(each) for each in new.examples])
    if seen is None:
        own = {"rule": new.rule, "topic": new.topic}
        first = insert_into(connection.dialect.name, digests).values(own | values)
        done = connection.execute(first.on_conflict_do_nothing().returning(digests.c.rule))
    else:
        # It tells at a later time than before, or of more.
        as_seen = (digests.c[name] == getattr(seen, name) for name in ("rule", "topic", *_STATE))
        change = update(digests).where(*as_seen).values(values)
        done = connection.execute(change.returning(digests.c.rule))
    if done.first() is None:
        raise _OthersWereFirstError


def _waits() -> ColumnElement[bool]:
    # A job that no engine takes is due again and again, each time after a pause.
    due = (
        jobs.c.state == JobState.SCHEDULED,
        jobs.c.run_at <= now_us() + microseconds(BLOCKED_PAUSE),
    )
    offered = jobs.c.state == JobState.OFFERED
    return or_(due[0] & due[1], offered)


def _pause(kind: str, name: ColumnElement[Any]) -> ColumnElement[bool]:
    return select(literal(1)).where(pauses.c.kind == kind, pauses.c.name == name).exists()


#: Looked for by both indexes of what waits; there are few such jobs where workers live.
_UNSERVED = (
    select(jobs.c.queue)
    .where(
        _waits(),
        jobs.c.created_at <= now_us() - microseconds(UNSERVED_AFTER),
        jobs.c.queue.not_in(select(workers.c.queue).where(workers.c.live_until > now_us())),
        ~_pause("queue", jobs.c.queue),
        ~_pause("job", jobs.c.name),
    )
    .distinct()
    .order_by(jobs.c.queue)
)


def _note_unserved(connection: Connection) -> Sequence[str]:
    hour = connection.execute(_NOW).scalar_one() // microseconds(_HOUR)
    found = connection.execute(_UNSERVED).scalars().all()
    kind = "queue.unserved"
    return [each for each in found if note(connection, f"{kind}:{each}:{hour}", kind, queue=each)]


def _untold(row: AnyRow) -> Untold:
    given = (row.id, row.at, row.kind, row.engine, row.queue, row.job_id)
    detail = json.loads(row.detail)
    error = rows.error_record(row.error)
    named = row.name or detail.get("job")
    return Untold(Notice(*given, detail), named, None if error is None else error.type)


def _digest(row: AnyRow) -> Digest:
    given = (row.rule, row.topic, row.until, row.waiting, row.first_at, row.last_at)
    return Digest(*given, examples=json.loads(row.examples))
