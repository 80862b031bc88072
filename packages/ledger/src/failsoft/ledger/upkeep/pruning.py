"""Deleting ended jobs, a few at a time; what hangs on them goes with them.

The counters in `aggregates` stay: they say how many jobs ever ended.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    cast,
    delete,
    select,
)

from failsoft.job_engine.clock import Clock, SystemClock
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.policies.retention import IDEMPOTENCY_FOR, Retention
from failsoft.job_engine.records.groups import member_id
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow, AnySelect
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups, outbox, schedules
from failsoft.ledger.transitions import counts, notices, remembered_keys
from failsoft.ledger.transitions.each_value import distinct
from failsoft.ledger.upkeep.missing import note_pruned
from failsoft.ledger.upkeep.pace import Pace
from failsoft.ledger.upkeep.prunable import (
    FIRST,
    LAST,
    SPAN,
    Kept,
    Place,
    Statements,
    span,
    statements,
    without_unsealed,
)

T = TypeVar("T")

#: The most jobs that one transaction deletes.
MAX_JOBS = 500

#: A host whose clock and the ledger's are further apart prunes nothing.
CLOCKS_APART = timedelta(hours=1)

_NOW = select(now_us())
_KIND = "ledger.pruning_dead_letters"
_HOUR = timedelta(hours=1)
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
        # Up to where the jobs of a definition that ended so were looked at.
        self._looked_at: dict[Kept, Place] = {}

    def ended_names(self) -> Sequence[str]:
        """Return the names of the definitions that have ended jobs."""
        return self._database.read(lambda c: c.execute(_ENDED_NAMES).scalars().all())

    def count(self, name: str, state: JobState, retention: Retention) -> int:
        """Count the jobs of a name and a terminal state that may be pruned.

        Raises:
            ValueError: If the state is no terminal one.
        """
        kept, found, place = Kept(name, state, retention), 0, FIRST
        while place != LAST:
            here, place = self._database.read(partial(self._span, kept, place))
            found += self._look(self._statements(kept).how_many, here)[0][0]
        return found

    def prune(self, name: str, state: JobState, retention: Retention, limit: int) -> int:
        """Delete at most `limit` of them in a short transaction, the oldest first.

        The keys that must outlive their jobs are put where they do. Such a job goes in a later
        transaction, when no dispatch can be under way that does not see its key there.

        Returns:
            How many were deleted; 0 when none is left that may be.

        Raises:
            ValueError: If the state is no terminal one.
        """
        kept, most = Kept(name, state, retention), self._pace.at_most(limit)
        while found := self._oldest(kept, most):
            work = partial(self._take_away, kept, *found)
            deleted, remembered = self._write(work, is_full=len(found[0]) == most)
            if deleted or not remembered:
                return deleted
        return 0

    def _oldest(self, kept: Kept, most: int) -> tuple[Sequence[AnyRow], Place] | None:
        """Find the oldest for which there is something to do, from where the last was found.

        Returns:
            Some of them, and the last that is kept no longer; None where there are none.
        """
        after = self._looked_at.pop(kept, FIRST)
        # Those that were passed over are looked at again when there are no others.
        for begin in dict.fromkeys((after, FIRST)):
            place, many = begin, most
            while True:
                work = partial(self._following, kept, place, many)
                found, horizon = self._database.read(work)
                if not found:
                    break
                ready = [row for row in found if row.is_ready][:most]
                last = (ready or found)[-1]
                place = Place(last.at, last.id)
                if ready:
                    self._looked_at[kept] = place
                    return ready, horizon
                many = min(4 * many, SPAN)
        return None

    def _following(
        self, kept: Kept, after: Place, many: int, connection: Connection
    ) -> tuple[Sequence[AnyRow], Place]:
        horizon = self._horizon(kept, connection)
        statement = without_unsealed(connection, self._statements(kept).following)
        given = {**span(after, horizon), "limit": many}
        return connection.execute(statement, given).all(), horizon

    def _take_away(
        self, kept: Kept, found: Sequence[AnyRow], horizon: Place, connection: Connection
    ) -> tuple[int, int]:
        """Return how many are deleted, and the keys of how many others are remembered."""
        self._expect_one_time(connection)
        keyed = [row.id for row in found if row.is_unremembered]
        rest = [row for row in found if not row.is_unremembered]
        remembered = remembered_keys.remember(connection, keyed) if keyed else 0
        return self._delete(kept, rest, horizon, connection) if rest else 0, remembered

    def _delete(
        self, kept: Kept, found: Sequence[AnyRow], horizon: Place, connection: Connection
    ) -> int:
        # Of two pruners that have chosen the same jobs one deletes none.
        note_pruned(connection, instant(found[-1].at))
        ids: Sequence[str] | str = [row.id for row in found]
        if self._database.is_sqlite:
            ids = json.dumps(ids)
        given = {**span(upto=horizon), "ids": ids}
        statement = without_unsealed(connection, self._statements(kept).delete)
        deleted = connection.execute(statement, given).rowcount
        counts.note_pruned(connection, {kept.state: deleted} if deleted else {})
        return deleted

    def _horizon(self, kept: Kept, connection: Connection) -> Place:
        """Return the place of the last that is kept no longer, after a look at the clocks.

        A job that ends meanwhile only moves it towards newer jobs, so it stays right.
        """
        now = self._expect_one_time(connection)
        too_old = Place(now - microseconds(kept.retention.age), "")
        if kept.retention.count is None:
            return too_old
        given = {"keep": kept.retention.count}
        row = connection.execute(self._statements(kept).newest, given).first()
        return too_old if row is None else max(too_old, Place(row.at, row.id))

    def _span(
        self, kept: Kept, after: Place, connection: Connection
    ) -> tuple[Mapping[str, Any], Place]:
        """Return the parameters of the next so many of those that are kept no longer, and an end.

        The end is `LAST` where there are none beyond it.
        """
        horizon = self._horizon(kept, connection)
        row = connection.execute(self._statements(kept).end, span(after)).first()
        end = LAST if row is None else Place(row.at, row.id)
        return span(after, min(end, horizon)), end if end < horizon else LAST

    def _statements(self, kept: Kept) -> Statements:
        return statements(kept, self._settles, is_sqlite=self._database.is_sqlite)

    def _look(self, statement: AnySelect, given: Mapping[str, Any]) -> Sequence[AnyRow]:
        return self._database.read(lambda c: c.execute(without_unsealed(c, statement), given).all())

    def _write(self, work: Callable[[Connection], T], *, is_full: bool) -> T:
        """Run a transaction, and let the next one be as large as this one was quick."""
        with self._pace.kept(is_full=is_full) as begin:

            def timed(connection: Connection) -> T:
                begin()
                return work(connection)

            return self._database.write(timed, limit=self._database.at_length)

    def note_pruning(self, name: str, count: int) -> None:
        """Record a notice that so many dead letters of a definition are about to be deleted."""

        def work(connection: Connection) -> None:
            hour = connection.execute(_NOW).scalar_one() // microseconds(_HOUR)
            detail = {"job": name, "count": count}
            notices.note(connection, f"{_KIND}:{name}:{hour}", _KIND, detail=detail)

        self._database.write(work)

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

    def _expect_one_time(self, connection: Connection) -> int:
        """Refuse to prune by a clock that this host's does not bear out: what is gone is gone.

        Returns:
            The ledger's time in microseconds since 1970.
        """
        now: int = connection.execute(_NOW).scalar_one()
        here, there = self._host_clock.now(), instant(now)
        if abs(here - there) > CLOCKS_APART:
            raise LedgerUnavailableError(
                f"expected the ledger's clock and this host's within {CLOCKS_APART} of each other "
                f"to see which jobs are old, got {there:%Y-%m-%d %H:%M} and "
                f"{here:%Y-%m-%d %H:%M} UTC; nothing is pruned until the wrong one is set right"
            )
        return now

    def _has_jobs(self, group_id: str, total: int) -> bool:
        for first in range(0, total, MAX_JOBS):
            places = range(first, min(first + MAX_JOBS, total))
            if self._database.read(partial(_any_of, [member_id(group_id, n) for n in places])):
                return True
        return False


def _any_of(ids: Sequence[str], connection: Connection) -> bool:
    found = select(jobs.c.id).where(jobs.c.id.in_(ids)).limit(1)
    return connection.execute(found).first() is not None
