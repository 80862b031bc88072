"""The schedules on SQL; a tick and its job are one transaction."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from failsoft.job_engine.policies.notifications import SKIPS
from failsoft.job_engine.records.schedules import (
    SET_BACK,
    ScheduleDeclaration,
    ScheduleRecord,
    Tick,
    TickOutcome,
    skip_notice,
    skipped,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyConnection, AnyRow, read
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import schedules
from failsoft.ledger.transitions import insert
from failsoft.ledger.transitions.notices import note

_ALL = select(*schedules.c).order_by(schedules.c.name)
_NOW = select(now_us().label("now"))
_KEY_TAKEN = "another job has its key"
_CONFIRM = (
    update(schedules)
    .where(schedules.c.name == bindparam("at_name"), schedules.c.spec == bindparam("at_spec"))
    .values(declared_at=now_us())
)


class SqlSchedules(SqlRole):
    """`ScheduleLedger` on SQL."""

    def schedules(self) -> tuple[datetime, Sequence[ScheduleRecord]]:
        """Return the database's time and every schedule, by name."""

        def work(connection: AnyConnection) -> tuple[int, Sequence[AnyRow]]:
            found = read(connection, _ALL)
            return read(connection, _NOW)[0].now, found

        read_at, found = self._database.ask(work)
        now = instant(read_at)
        return now, [rows.schedule_record(row, now) for row in found]

    def declare_schedule(self, seen: ScheduleRecord | None, new: ScheduleDeclaration) -> bool:
        """Record a schedule, or replace its spec; return whether that was done."""
        values = {"spec": new.spec, "next_at": new.next_at, "former": json.dumps(new.former)}
        declared: dict[str, Any] = values | {"declared_at": now_us()}
        if seen is None:
            return self._database.write(lambda c: _insert(c, {"name": new.name, **declared}))
        return self._changes(seen, declared)

    def confirm_schedules(self, specs: Sequence[tuple[str, str]]) -> None:
        """Note that a process runs these specs; others are left alone."""
        # In one order, lest two processes wait for each other.
        values = [{"at_name": name, "at_spec": spec} for name, spec in sorted(specs)]
        if values:
            self._database.write(lambda connection: connection.execute(_CONFIRM, values))

    def take_tick(self, seen: ScheduleRecord, tick: Tick) -> TickOutcome:
        """Fire a tick, or leave it out, in one transaction with its job."""
        return self._database.write(lambda c: _take(c, seen, tick, self._actor))

    def set_back(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        """Let an earlier tick be the next; False if the schedule is no longer as it was seen."""
        values = {"next_at": next_at, "skipped_at": seen.next_at, "skip_reason": SET_BACK}
        return self._changes(seen, values, schedules.c.next_at == seen.next_at)

    def pause_schedule(self, name: str) -> bool:
        """Fire no tick until it is resumed; False if there is no such schedule."""
        statement = update(schedules).where(schedules.c.name == name).values(paused=True)
        return self._database.write(lambda c: c.execute(statement).rowcount == 1)

    def resume_schedule(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        """Go on with a later tick; False if the spec is no longer as it was seen."""
        return self._changes(seen, {"paused": False, "next_at": next_at})

    def _changes(
        self, seen: ScheduleRecord, values: dict[str, Any], *more: ColumnElement[bool]
    ) -> bool:
        statement = (
            update(schedules)
            .where(schedules.c.name == seen.name, schedules.c.spec == seen.spec, *more)
            .values(values)
        )
        return self._database.write(lambda c: c.execute(statement).rowcount == 1)


def _insert(connection: Connection, values: dict[str, Any]) -> bool:
    statement = (
        insert_into(connection.dialect.name, schedules).values(values).on_conflict_do_nothing()
    )
    return connection.execute(statement.returning(schedules.c.name)).first() is not None


def _take(connection: Connection, seen: ScheduleRecord, tick: Tick, actor: str) -> TickOutcome:
    job = tick.job
    reason = tick.reason
    if tick.unless_running and _runs(connection, seen, tick.at):
        job, reason = None, "the job of the tick before has not ended"
    values: dict[str, Any] = {"next_at": tick.next_at}
    if job is None:
        values |= skipped(seen, tick, reason)
    else:
        values |= {"last_at": tick.at, "last_job_id": job.id, "skips": 0}
    # The lock on this row comes first: of all that see one tick, one goes on.
    statement = (
        update(schedules)
        .where(
            schedules.c.name == seen.name,
            schedules.c.spec == seen.spec,
            schedules.c.next_at == seen.next_at,
            schedules.c.paused.is_(False),
        )
        .values(values)
    )
    if connection.execute(statement).rowcount != 1:
        return TickOutcome.STALE
    if job is None:
        _note_skips(connection, seen, tick, reason)
        return TickOutcome.SKIPPED
    new = insert.insert_job(connection, job, None, actor)
    if new is None and not _is_there(connection, job.id):
        # Another job has its key, which no id of a tick stands for: this one is left out.
        values = {"last_at": seen.last_at, "last_job_id": seen.last_job_id}
        values |= skipped(seen, tick, _KEY_TAKEN)
        connection.execute(update(schedules).where(schedules.c.name == seen.name).values(values))
        _note_skips(connection, seen, tick, _KEY_TAKEN)
        return TickOutcome.SKIPPED
    return TickOutcome.FIRED


def _note_skips(connection: Connection, seen: ScheduleRecord, tick: Tick, reason: str) -> None:
    if seen.skips + 1 == SKIPS:
        detail = {"job": seen.name, "reason": reason}
        note(connection, skip_notice(seen, tick), "schedule.skip", detail=detail)


def _is_there(connection: Connection, job_id: str) -> bool:
    # Its id comes from the tick: one that was fired before is found, not made again.
    return connection.execute(select(jobs.c.id).where(jobs.c.id == job_id)).first() is not None


def _runs(connection: Connection, seen: ScheduleRecord, tick: datetime) -> bool:
    wanted = select(jobs.c.state, jobs.c.epoch).where(jobs.c.id == seen.last_job_id)
    found = connection.execute(wanted).one_or_none()
    if found is None or JobState(found.state).is_terminal:
        return False
    # Fired by a clock that was ahead, and still to come: it waits for its own tick.
    is_to_come = seen.last_at is not None and seen.last_at > tick
    return not is_to_come or found.epoch > 0
