"""What has happened, what people have done, and a few figures of each minute."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, cast, delete, func, literal, select

from failsoft.job_engine.ports.console import (
    UNCHANGED,
    AuditEntry,
    Notice,
    OpenBreaker,
    Page,
    Sample,
    Tally,
    checked_entry,
    outcome_of,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.beside import writing_beside
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.roles.console.jobs import SqlJobLists
from failsoft.ledger.roles.console.pages import Listing
from failsoft.ledger.schema.tables import aggregates, audit, breakers, notices, samples
from failsoft.ledger.transitions import measures
from failsoft.ledger.transitions import notices as transitions

MINUTE = timedelta(minutes=1)
#: How long samples and notices are kept.
KEPT_FOR = timedelta(days=8)
#: How long what people did is kept.
AUDIT_FOR = timedelta(days=365)

_NOW = select(now_us())
_ENDED = select(
    aggregates.c.queue,
    aggregates.c.engine,
    aggregates.c.outcome,
    cast(func.sum(aggregates.c.count), BigInteger).label("jobs"),
).group_by(aggregates.c.queue, aggregates.c.engine, aggregates.c.outcome)
_WAITING = {JobState.SCHEDULED: "scheduled", JobState.OFFERED: "waiting"}


class SqlActivity(SqlJobLists, SqlRole):
    """`Activity` on SQL."""

    @contextmanager
    def acting(self, entry: AuditEntry) -> Iterator[None]:
        """Record an action in the transaction that does it."""
        checked_entry(entry)

        def write(connection: Connection, result: object) -> None:
            _record(connection, entry, outcome_of(entry, result))

        with writing_beside(write):
            yield

    def audit(self, entry: AuditEntry) -> None:
        """Record an action that has changed nothing, as one that was refused."""
        checked_entry(entry)
        self._database.write(lambda c: _record(c, entry, entry.outcome))

    def audits(
        self, cursor: str | None = None, limit: int = 50, target: str | None = None
    ) -> Page[AuditEntry]:
        """Return the actions, or those on one target, the newest first."""
        here = [] if target is None else [audit.c.target == target]
        return _AUDITS.page(self._database, cursor, limit, repr(target), *here)

    def notices(self, cursor: str | None = None, limit: int = 50) -> Page[Notice]:
        """Return the notices, the newest first."""
        return _NOTICES.page(self._database, cursor, limit)

    def breakers(self, fresh: timedelta) -> Sequence[OpenBreaker]:
        """Return the breakers that are open, as processes have said within a span."""
        statement = (
            select(*breakers.c)
            .where(breakers.c.seen_at >= now_us() - microseconds(fresh))
            .order_by(breakers.c.engine, breakers.c.since, breakers.c.boot_id)
        )
        return [_breaker(row) for row in self._database.read(lambda c: c.execute(statement).all())]

    def note_breakers(self, boot_id: str, open_: Mapping[str, tuple[timedelta, str]]) -> None:
        """Keep which breakers of a process are open."""

        def work(connection: Connection) -> None:
            closed = breakers.c.boot_id == boot_id, breakers.c.engine.not_in(list(open_))
            connection.execute(delete(breakers).where(*closed))
            for engine, since in sorted(open_.items()):
                _note_open(connection, boot_id, engine, since)

        self._database.write(work)

    def note_switch(self, engine: str, direction: str, detail: Mapping[str, Any]) -> bool:
        """Record a notice that jobs left an engine, or that it has them again."""
        kind = f"engine.failed_{direction}"

        def work(connection: Connection) -> bool:
            minute = connection.execute(_NOW).scalar_one() // microseconds(MINUTE)
            notice_id = f"{kind}:{engine}:{minute}"
            return transitions.note(connection, notice_id, kind, engine=engine, detail=detail)

        return self._database.write(work)

    def take_sample(self) -> bool:
        """Keep the figures of this minute, once; return whether it was this call that did."""
        now = self._database.read(lambda c: c.execute(_NOW).scalar_one())
        minute = now - now % microseconds(MINUTE)
        is_kept = select(literal(1)).where(samples.c.minute == instant(minute)).limit(1)
        if self._database.read(lambda c: c.execute(is_kept).first()) is not None:
            return False
        figures = [*_of_tally(self.tally()), *self._ended()]
        # So that a ledger without jobs is not asked again within the minute either.
        figures.append(("", "", "samples", 1))
        new = [
            {"minute": instant(minute), "queue": q, "engine": e, "metric": m, "value": v}
            for q, e, m, v in sorted(figures)
        ]

        def work(connection: Connection) -> bool:
            insert = insert_into(connection.dialect.name, samples).on_conflict_do_nothing()
            first = insert.values(new[0]).returning(samples.c.minute)
            mine = connection.execute(first).first() is not None
            if mine and new[1:]:
                connection.execute(insert, new[1:])
            if mine:
                _forget(connection)
            return mine

        return self._database.write(work)

    def samples(self, since: datetime) -> Sequence[Sample]:
        """Return the figures of the minutes since a moment, the oldest first."""
        order = (samples.c.minute, samples.c.queue, samples.c.engine, samples.c.metric)
        kept = samples.c.minute >= since, samples.c.metric != "samples"
        statement = select(*samples.c).where(*kept).order_by(*order)
        found = self._database.read(lambda c: c.execute(statement).all())
        return [Sample(row.minute, row.queue, row.engine, row.metric, row.value) for row in found]

    def _ended(self) -> Iterator[tuple[str, str, str, int]]:
        for row in self._database.read(lambda c: c.execute(_ENDED).all()):
            yield row.queue, row.engine, row.outcome, row.jobs


def _of_tally(tallies: Sequence[Tally]) -> Iterator[tuple[str, str, str, int]]:
    for each in tallies:
        if each.state is not JobState.FAILED:
            metric = _WAITING.get(each.state, str(each.state))
            yield each.queue, each.engine or "", metric, each.count


def _record(connection: Connection, entry: AuditEntry, outcome: str) -> None:
    values = {name: getattr(entry, name) for name in _AS_THEY_ARE}
    values |= {"detail": json.dumps(dict(entry.detail)), "outcome": outcome, "at": now_us()}
    new = insert_into(connection.dialect.name, audit).values(values)
    # An action may be several transactions, of which the first ones find nothing to do.
    came_to = new.on_conflict_do_update(
        index_elements=["id"],
        set_={"outcome": new.excluded.outcome},
        where=audit.c.outcome == UNCHANGED,
    )
    connection.execute(came_to)


def record_entry(connection: Connection, entry: AuditEntry) -> None:
    """Record an action in the transaction that does it, once."""
    _record(connection, entry, entry.outcome)


def _note_open(
    connection: Connection, boot_id: str, engine: str, since: tuple[timedelta, str]
) -> None:
    span, reason = since
    values = {"boot_id": boot_id, "engine": engine, "reason": reason, "seen_at": now_us()}
    values["since"] = now_us() - microseconds(span)
    new = insert_into(connection.dialect.name, breakers).values(values)
    again = {"reason": new.excluded.reason, "seen_at": now_us(), "since": new.excluded.since}
    connection.execute(new.on_conflict_do_update(index_elements=["boot_id", "engine"], set_=again))


def _forget(connection: Connection) -> None:
    now = connection.execute(_NOW).scalar_one()
    measures.forget_notices(connection, instant(now) - KEPT_FOR)
    for table, column, span in (
        (samples, samples.c.minute, KEPT_FOR),
        (audit, audit.c.at, AUDIT_FOR),
        (breakers, breakers.c.seen_at, MINUTE),
    ):
        connection.execute(delete(table).where(column < now_us() - microseconds(span)))


_AS_THEY_ARE = ("id", "actor", "source", "action", "target_kind", "target", "reason")


def _entry(row: AnyRow) -> AuditEntry:
    kept = {name: getattr(row, name) for name in _AS_THEY_ARE}
    return AuditEntry(**kept, detail=json.loads(row.detail), outcome=row.outcome, at=row.at)


def _notice(row: AnyRow) -> Notice:
    return Notice(
        row.id,
        row.at,
        row.kind,
        row.engine,
        row.queue,
        row.job_id,
        json.loads(row.detail),
        row.told_at,
    )


def _breaker(row: AnyRow) -> OpenBreaker:
    return OpenBreaker(row.boot_id, row.engine, row.since, row.reason, row.seen_at)


_AUDITS = Listing(audit, "at", _entry)
_NOTICES = Listing(notices, "at", _notice)
