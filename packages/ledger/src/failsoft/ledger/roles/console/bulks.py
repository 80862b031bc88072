"""Actions on all jobs that a filter chooses, turn by turn; each turn is one transaction."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from failsoft.job_engine.errors import JobNotFoundError, JobStateError, NotFoundError
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import (
    MOST_IN_A_TURN,
    TURN,
    BulkAction,
    BulkRecord,
    BulkState,
    NewBulk,
    Page,
    bulk_entry,
    bulk_filter,
    checked_entry,
)
from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.ports.job_filter import JobFilter, as_json, from_json
from failsoft.job_engine.records.job import CancelOutcome
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, RESUME, Transition
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.roles import lists, offers, resolutions, retries
from failsoft.ledger.roles.console.activity import record_entry
from failsoft.ledger.roles.console.look import Look
from failsoft.ledger.roles.console.pages import Listing
from failsoft.ledger.roles.lists import Window
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import bulks
from failsoft.ledger.transitions.notices import note

#: The places of so many jobs are read at once.
AT_ONCE = 100
#: Does the action of a bulk to the job of an id; returns whether it was as the action needs it.
Act = Callable[[Connection, str, AnyRow], bool]


class SqlBulkActions(SqlRole):
    """`BulkActions` on SQL."""

    def bulk_start(self, bulk: NewBulk) -> BulkRecord:
        """Record a bulk, with its entry in the audit; return it as it is if it is known."""
        bulk_filter(bulk.action, bulk.filter)
        entry = bulk_entry(bulk)
        checked_entry(entry)
        values = {name: getattr(bulk, name) for name in _GIVEN}
        values |= {"filter": as_json(bulk.filter), "state": BulkState.RUNNING, "at": now_us()}

        def work(connection: Connection) -> BulkRecord:
            new = insert_into(connection.dialect.name, bulks).values(values)
            connection.execute(new.on_conflict_do_nothing())
            record_entry(connection, entry)
            return _record(_found(connection, bulk.id))

        return self._database.write(work)

    def bulk_turn(self, bulk_id: str, most: int = MOST_IN_A_TURN) -> BulkRecord:
        """Do the action to the next jobs that the filter chooses, in one transaction."""
        cursors.EXPECT.whole("a most", most, least=1, most=MOST_IN_A_TURN)
        return self._database.write(lambda c: _turn(c, bulk_id, most), "bulk")

    def bulk_stop(self, bulk_id: str) -> BulkRecord:
        """Let a bulk have no further turn."""

        def work(connection: Connection) -> BulkRecord:
            is_running = bulks.c.id == bulk_id, bulks.c.state == BulkState.RUNNING
            stopped = {"state": BulkState.STOPPED, "ended_at": now_us()}
            connection.execute(update(bulks).where(*is_running).values(stopped))
            return _record(_found(connection, bulk_id))

        return self._database.write(work)

    def bulk(self, bulk_id: str) -> BulkRecord:
        """Return a bulk."""
        return self._database.read(lambda c: _record(_found(c, bulk_id)))

    def bulks(self, cursor: str | None = None, limit: int = 50) -> Page[BulkRecord]:
        """Return the bulks, the newest first."""
        return _BULKS.page(self._database, cursor, limit)


_BY_ID = select(*jobs.c).where(jobs.c.id == bindparam("job"))
_GIVEN = ("id", "action", "expected", "actor", "source", "reason")


def _found(connection: Connection, bulk_id: str, *, locked: bool = False) -> AnyRow:
    statement = select(*bulks.c).where(bulks.c.id == bulk_id)
    row = connection.execute(statement.with_for_update() if locked else statement).one_or_none()
    if row is None:
        raise NotFoundError(f"expected the id of a bulk in the ledger, got {bulk_id!r}")
    return row


def _turn(connection: Connection, bulk_id: str, most: int) -> BulkRecord:
    # Two processes that turn the same bulk have their turns one after the other.
    row = _found(connection, bulk_id, locked=True)
    if row.state != BulkState.RUNNING:
        return _record(row)
    lists.go_by_index(connection)
    ends = time.monotonic() + TURN.total_seconds()
    wanted, act = _still(row), _ACTS[BulkAction(row.action)]
    edges = partial(lists.edges, wanted, is_sqlite=connection.dialect.name == "sqlite")
    look = Look(edges, _window(wanted, row.cursor), within=TURN)
    taken = done = 0
    for job in _chosen(connection, wanted, look, most):
        done += act(connection, job.id, row)
        taken += 1
        if taken == most or time.monotonic() >= ends:
            return _moved_on(connection, row, Place(job.at, job.id), (done, taken - done))
    return _moved_on(connection, row, look.after, (done, taken - done))


def _chosen(connection: Connection, wanted: JobFilter, look: Look, most: int) -> Iterator[AnyRow]:
    """Read the places of the next jobs, a few at a time: no more than a turn has time for."""
    is_sqlite, few = connection.dialect.name == "sqlite", min(most, AT_ONCE)
    for part in look.parts(connection):
        here: Window | None = part
        while here is not None:
            found = connection.execute(lists.places(wanted, here, few, is_sqlite=is_sqlite)).all()
            yield from found
            is_more = len(found) == few
            here = replace(here, after=Place(found[-1].at, found[-1].id)) if is_more else None


def _window(wanted: JobFilter, cursor: str | None) -> Window:
    if cursor is None:
        return Window(lists.order_of(wanted))
    at, job_id = cursor.split(".", 1)
    return Window(lists.order_of(wanted), Place(int(at), job_id))


def _still(row: AnyRow) -> JobFilter:
    """Return what a bulk chooses: of what was there when it was started."""
    wanted = bulk_filter(BulkAction(row.action), from_json(row.filter))
    until = wanted.get("until")
    return {**wanted, "until": row.at if until is None else min(until, row.at)}


def _moved_on(
    connection: Connection, row: AnyRow, through: Place | None, became: tuple[int, int]
) -> BulkRecord:
    done, failed = became
    values: dict[str, Any] = {"done": bulks.c.done + done, "failed": bulks.c.failed + failed}
    if through is None:
        values |= {"state": BulkState.DONE, "ended_at": now_us()}
    else:
        values["cursor"] = f"{through.at}.{through.id}"
    changed = update(bulks).where(bulks.c.id == row.id).values(values).returning(*bulks.c)
    record = _record(connection.execute(changed).one())
    if through is None:
        told = {"bulk": record.id, "done": record.done, "failed": record.failed}
        told |= {"action": record.action}
        note(connection, f"bulk.done:{record.id}", "bulk.done", detail=told)
    return record


def _cancel(connection: Connection, job_id: str, bulk: AnyRow) -> bool:
    try:
        return offers.cancel(connection, job_id, bulk.actor) is not CancelOutcome.ENDED
    except JobNotFoundError:
        return False


def _retry(connection: Connection, job_id: str, bulk: AnyRow) -> bool:
    try:
        retries.do_again(connection, ManualRetry(job_id, bulk.actor, bulk.reason))
    except (JobNotFoundError, JobStateError):
        return False
    return True


def _resolve(transition: Transition) -> Act:
    def act(connection: Connection, job_id: str, bulk: AnyRow) -> bool:
        row = connection.execute(_BY_ID, {"job": job_id}).one_or_none()
        resolution = Resolution(transition, bulk.actor, bulk.reason)
        return row is not None and (
            resolutions.resolve(connection, rows.job_record(row), resolution) is not None
        )

    return act


_ACTS: Mapping[BulkAction, Act] = {
    BulkAction.CANCEL: _cancel,
    BulkAction.RETRY: _retry,
    BulkAction.RESUME: _resolve(RESUME),
    BulkAction.ABANDON: _resolve(ABANDON),
}


def _record(row: AnyRow) -> BulkRecord:
    return BulkRecord(
        row.id,
        BulkAction(row.action),
        from_json(row.filter),
        row.expected,
        row.actor,
        row.source,
        row.reason,
        BulkState(row.state),
        row.done,
        row.failed,
        row.at,
        row.ended_at,
    )


_BULKS = Listing(bulks, "at", _record)
