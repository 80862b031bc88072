"""Deleting ended jobs, a few at a time; what hangs on them goes with them.

The counters in `aggregates` stay: they say how many jobs ever ended.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    cast,
    delete,
    func,
    or_,
    select,
)

from failsoft.job_engine.clock import Clock, SystemClock
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.policies.retention import IDEMPOTENCY_FOR, Retention
from failsoft.job_engine.records.groups import member_id
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups, outbox, schedules
from failsoft.ledger.transitions import counts, remembered_keys
from failsoft.ledger.transitions.each_value import distinct
from failsoft.ledger.upkeep.missing import note_pruned
from failsoft.ledger.upkeep.pace import Pace
from failsoft.ledger.upkeep.place import Place, beyond

#: The most jobs that one transaction deletes.
MAX_JOBS = 500
#: How many of the jobs that ended so a statement goes through, however many there are.
SPAN = 10_000

#: A host whose clock and the ledger's are further apart prunes nothing.
CLOCKS_APART = timedelta(hours=1)

_NOW = select(now_us())
_ended_names = distinct(jobs.c.name, jobs.c.finished_at.is_not(None))
_ENDED_NAMES = select(_ended_names.c.value).where(_ended_names.c.value.is_not(None))
#: How long a key is remembered before its job may be deleted: longer than any statement runs, and
#: than a transaction of a caller's should that dispatches within it.
SETTLES = timedelta(hours=1)
#: How long a schedule that no program declares any more is kept, with its last tick.
SCHEDULES_FOR = timedelta(days=30)
#: How long a record of the outbox is kept once it is published.
PUBLISHED_FOR = timedelta(days=1)

_GONE = delete(schedules).where(
    schedules.c.declared_at < now_us() - microseconds(SCHEDULES_FOR), ~schedules.c.paused
)

_PUBLISHED = (
    select(outbox.c.seq)
    .where(outbox.c.published_at < now_us() - microseconds(PUBLISHED_FOR))
    .order_by(outbox.c.published_at)
)

_ENDED = groups.c.succeeded + groups.c.failed + groups.c.cancelled


def _is_there(job_id: ColumnElement[Any]) -> ColumnElement[bool]:
    return select(jobs.c.id).where(jobs.c.id == job_id).exists()


#: Groups that are over, without a completion job and without the first and the last of their own.
_OVER = select(groups.c.id, groups.c.total).where(
    groups.c.sealed,
    groups.c.total == _ENDED,
    # The group is what is remembered of the ids of its jobs.
    groups.c.created_at < now_us() - microseconds(IDEMPOTENCY_FOR),
    ~_is_there(groups.c.completion_id),
    ~_is_there(groups.c.id + "-0"),
    ~_is_there(groups.c.id + "-" + cast(groups.c.total - 1, String)),
)


#: The groups that were begun and not recorded to the end; nearly never any.
_UNSEALED = (
    select(groups.c.id)
    .where(~groups.c.sealed, groups.c.created_at >= now_us() - microseconds(IDEMPOTENCY_FOR))
    .order_by(groups.c.created_at.desc())
    .limit(100)
)


class SqlPruner:
    """`LedgerPruner` on SQL."""

    def __init__(
        self, database: Database, *, settles: timedelta = SETTLES, host_clock: Clock | None = None
    ) -> None:
        """Prune a ledger's database.

        Args:
            database: The ledger's database.
            settles: How long a key is remembered before its job may be deleted, on PostgreSQL. A
                statement that began before it was remembered does not see it, and would record
                another job if that one's row were gone. SQLite has one writer at a time.
            host_clock: What the ledger's clock is compared with before anything is deleted; this
                host's where None.
        """
        self._database = database
        self._host_clock = host_clock or SystemClock()
        self._settles = timedelta(0) if database.is_sqlite else settles
        self._pace = Pace(MAX_JOBS)
        # Up to where the keys of a definition's jobs are remembered, and where they were pruned.
        self._remembered: dict[tuple[str, JobState], Place] = {}
        self._pruned: dict[tuple[str, JobState], Place] = {}

    def ended_names(self) -> Sequence[str]:
        """Return the names of the definitions that have ended jobs."""
        return self._database.read(lambda c: c.execute(_ENDED_NAMES).scalars().all())

    def count(self, name: str, state: JobState, retention: Retention) -> int:
        """Count the jobs of a name and a terminal state that may be pruned.

        Raises:
            ValueError: If the state is no terminal one.
        """
        _check(state)

        after, found = None, 0
        while True:
            span = partial(self._span, name, state, retention, after)
            which, after = self._database.read(span, limit=self._database.at_length)
            counted = select(func.count()).select_from(jobs).where(which)
            found += self._database.read(lambda c, s=counted: c.execute(s).scalar_one())
            if after is None:
                return found

    def remember_keys(self, name: str, state: JobState, retention: Retention, limit: int) -> int:
        """Put the keys of at most `limit` of them where they outlive their jobs.

        Returns:
            How many those were; 0 when no key is left to remember.

        Raises:
            ValueError: If the state is no terminal one.
        """
        _check(state)
        most = self._pace.at_most(limit)
        while True:
            after = self._remembered.pop((name, state), None)
            which, upto = self._database.read(
                partial(self._span, name, state, retention, after), limit=self._database.at_length
            )
            found = remembered_keys.to_remember(which, most)
            # Looked for before the turn to write is taken: nearly no job has a key.
            ids = self._database.read(lambda c, s=found: c.execute(s).scalars().all())
            if ids:
                if after is not None:
                    self._remembered[name, state] = after
                with self._pace.kept(is_full=len(ids) == most) as begin:

                    def work(connection: Connection) -> None:
                        begin()
                        remembered_keys.remember(connection, which, ids)

                    self._database.write(work, limit=self._database.at_length)
                return len(ids)
            if upto is None:
                return 0
            self._remembered[name, state] = upto

    def prune(self, name: str, state: JobState, retention: Retention, limit: int) -> int:
        """Delete at most `limit` of them in a short transaction, the oldest first.

        One whose key must outlive it stays until that is remembered, and no dispatch can be
        under way that does not see it.

        Returns:
            How many were deleted.

        Raises:
            ValueError: If the state is no terminal one.
        """
        _check(state)
        most, settled = self._pace.at_most(limit), remembered_keys.has_settled(self._settles)

        def look(after: Place | None, connection: Connection) -> Sequence[AnyRow]:
            self._expect_one_time(connection)
            which = and_(_prunable(connection, name, state, retention), settled, beyond(after))
            oldest = select(jobs.c.id, jobs.c.finished_at).where(which)
            in_order = oldest.order_by(jobs.c.finished_at, jobs.c.id).limit(most)
            return connection.execute(in_order).all()

        # Those that were passed over are looked at again when there are no others.
        after = self._pruned.pop((name, state), None)
        for place in (after, None) if after is not None else (None,):
            found = self._database.read(partial(look, place), limit=self._database.at_length)
            if found:
                break
        else:
            return 0
        self._pruned[name, state] = Place(found[-1].finished_at, found[-1].id)
        with self._pace.kept(is_full=len(found) == most) as begin:

            def work(connection: Connection) -> int:
                begin()
                self._expect_one_time(connection)
                which = and_(_prunable(connection, name, state, retention), settled)
                return _delete(connection, state, which, found)

            return self._database.write(work, limit=self._database.at_length)

    def prune_keys(self, limit: int) -> int:
        """Delete at most `limit` keys, and never more than `MAX_JOBS`, whose time is over.

        Returns:
            How many were deleted.
        """
        most = min(limit, MAX_JOBS)

        def work(connection: Connection) -> int:
            self._expect_one_time(connection)
            return remembered_keys.forget(connection, most)

        return self._database.write(work, limit=self._database.at_length)

    def prune_outbox(self, limit: int) -> int:
        """Delete at most `limit` records, and never more than `MAX_JOBS`, that are published.

        Returns:
            How many were deleted.
        """
        most = min(limit, MAX_JOBS)

        def work(connection: Connection) -> int:
            self._expect_one_time(connection)
            seqs = connection.execute(_PUBLISHED.limit(most)).scalars().all()
            gone = delete(outbox).where(outbox.c.seq.in_(seqs), outbox.c.published_at.is_not(None))
            return connection.execute(gone).rowcount if seqs else 0

        return self._database.write(work, limit=self._database.at_length)

    def prune_schedules(self) -> int:
        """Delete the schedules that no program has declared for long; a paused one stays.

        Returns:
            How many were deleted.
        """

        def work(connection: Connection) -> int:
            self._expect_one_time(connection)
            return connection.execute(_GONE).rowcount

        return self._database.write(work)

    def prune_groups(self, limit: int) -> int:
        """Delete at most `limit` groups, and never more than `MAX_JOBS`, whose jobs are gone.

        Returns:
            How many were deleted.
        """

        def those_over(connection: Connection) -> Sequence[AnyRow]:
            self._expect_one_time(connection)
            return connection.execute(_OVER).all()

        over = self._database.read(those_over)
        gone = (group.id for group in over if not self._has_jobs(group.id, group.total))
        ids = list(islice(gone, min(limit, MAX_JOBS)))
        # Nothing brings one of them back: a group that is over takes no more jobs.
        statement = delete(groups).where(groups.c.id.in_(ids))
        return self._database.write(lambda c: c.execute(statement).rowcount) if ids else 0

    def _span(
        self,
        name: str,
        state: JobState,
        retention: Retention,
        after: Place | None,
        connection: Connection,
    ) -> tuple[ColumnElement[bool], Place | None]:
        """Say which of the next so many jobs may be pruned, and where those end; None at the end."""
        self._expect_one_time(connection)
        here = and_(_ended(name, state), beyond(after))
        last = select(jobs.c.finished_at, jobs.c.id).where(here)
        in_order = last.order_by(jobs.c.finished_at, jobs.c.id)
        row = connection.execute(in_order.offset(SPAN - 1).limit(1)).first()
        which = and_(_prunable(connection, name, state, retention), beyond(after))
        if row is None:
            return which, None
        upto = Place(row.finished_at, row.id)
        return and_(which, ~beyond(upto)), upto

    def _expect_one_time(self, connection: Connection) -> None:
        """Refuse to prune by a clock that this host's does not bear out: what is gone is gone."""
        here, there = self._host_clock.now(), instant(connection.execute(_NOW).scalar_one())
        if abs(here - there) > CLOCKS_APART:
            raise LedgerUnavailableError(
                f"expected the ledger's clock and this host's within {CLOCKS_APART} of each other "
                f"to see which jobs are old, got {there:%Y-%m-%d %H:%M} and "
                f"{here:%Y-%m-%d %H:%M} UTC; nothing is pruned until the wrong one is set right"
            )

    def _has_jobs(self, group_id: str, total: int) -> bool:
        for first in range(0, total, MAX_JOBS):
            places = range(first, min(first + MAX_JOBS, total))
            if self._database.read(partial(_any_of, [member_id(group_id, n) for n in places])):
                return True
        return False


def _check(state: JobState) -> None:
    if state not in TERMINAL:
        raise ValueError(f"expected a terminal state, got {state}")


def _any_of(ids: Sequence[str], connection: Connection) -> bool:
    found = select(jobs.c.id).where(jobs.c.id.in_(ids)).limit(1)
    return connection.execute(found).first() is not None


def _delete(
    connection: Connection,
    state: JobState,
    prunable: ColumnElement[bool],
    found: Sequence[AnyRow],
) -> int:
    # Of two pruners that have chosen the same jobs one deletes none.
    note_pruned(connection, max(each.finished_at for each in found))
    ids = [each.id for each in found]
    deleted = connection.execute(delete(jobs).where(jobs.c.id.in_(ids), prunable)).rowcount
    counts.note_pruned(connection, {state: deleted} if deleted else {})
    return deleted


def _ended(name: str, state: JobState) -> ColumnElement[bool]:
    return and_(jobs.c.name == name, jobs.c.state == state, jobs.c.finished_at.is_not(None))


def _prunable(
    connection: Connection, name: str, state: JobState, retention: Retention
) -> ColumnElement[bool]:
    ended = _ended(name, state)
    too_old = jobs.c.finished_at < now_us() - microseconds(retention.age)
    # A job that still holds a unique key must be found by it.
    asked_for = or_(jobs.c.unique_until.is_(None), jobs.c.unique_until <= now_us())
    return and_(
        ended,
        asked_for,
        *_needed(connection),
        or_(too_old, *_too_many(connection, ended, retention.count)),
    )


def _needed(connection: Connection) -> Iterator[ColumnElement[bool]]:
    """Say which jobs nothing relies on: no dead letter, no parent, and no group half recorded."""
    retried, parent = jobs.alias("retried"), jobs.alias("parent")
    # Without the job that did its work again, a dead letter would look untried.
    yield ~select(retried.c.id).where(retried.c.id == jobs.c.retry_of).exists()
    # Its parent may have to look at its end once more.
    open_parent = and_(parent.c.id == jobs.c.parent_id, parent.c.finished_at.is_(None))
    yield ~select(parent.c.id).where(open_parent).exists()
    # A repeated dispatch of the group goes on with it, and would record them again.
    for group_id in connection.execute(_UNSEALED).scalars():
        yield ~jobs.c.id.startswith(f"{group_id}-", autoescape=True)


def _too_many(
    connection: Connection, ended: ColumnElement[bool], count: int | None
) -> Sequence[ColumnElement[bool]]:
    """Say which jobs are beyond the newest `count`: the first of those, and all that ended before.

    A job that ends meanwhile only moves that line towards newer jobs, so it stays right.
    """
    if count is None:
        return ()
    newest_first = (jobs.c.finished_at.desc(), jobs.c.id.desc())
    beyond = select(jobs.c.finished_at, jobs.c.id).where(ended).order_by(*newest_first)
    first = connection.execute(beyond.offset(count).limit(1)).first()
    if first is None:
        return ()
    same = and_(jobs.c.finished_at == first.finished_at, jobs.c.id <= first.id)
    return (or_(jobs.c.finished_at < first.finished_at, same),)
