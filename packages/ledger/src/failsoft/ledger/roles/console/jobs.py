"""Lists and figures of jobs, as a console reads them."""

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    type_coerce,
    union,
    union_all,
)

from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import (
    MOST_COUNTED,
    MOST_ON_A_PAGE,
    Causes,
    Count,
    JobSummary,
    Known,
    Page,
    Tally,
)
from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.ports.job_filter import (
    MOST_LOOKED_THROUGH,
    JobFilter,
    as_json,
    checked,
)
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import JobRecord, TryOutcome
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow, AnySelect
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, now_us
from failsoft.ledger.roles import lists
from failsoft.ledger.roles.console import causes
from failsoft.ledger.roles.console.look import Edges, Look
from failsoft.ledger.roles.console.pages import Listing, check_limit
from failsoft.ledger.roles.lists import Window
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import by_itself, in_state, jobs
from failsoft.ledger.schema.tables import aggregates, dispatch_attempts, groups, workers
from failsoft.ledger.transitions.each_value import distinct

_AS_THEY_ARE = (
    *("id", "name", "queue", "engine", "epoch", "claims", "handoffs", "priority"),
    *("cancel_requested", "idempotency_key", "retry_of", "parent_id"),
    *("created_at", "run_at", "started_at", "finished_at"),
)
_FIRST_ENGINE = (
    select(dispatch_attempts.c.engine)
    .where(
        dispatch_attempts.c.job_id == jobs.c.id,
        dispatch_attempts.c.outcome == TryOutcome.ACCEPTED,
    )
    .order_by(dispatch_attempts.c.epoch)
    .limit(1)
    .correlate(jobs)
    .scalar_subquery()
    .label("first_engine")
)
#: So much of an error as its type may need; the whole may have a long traceback.
_ERROR_CHARS = 300
_ERROR_TYPE = re.compile(r'\{"type": ("(?:[^"\\]|\\.)*")')
SUMMARY: tuple[ColumnElement[Any], ...] = (
    *(jobs.c[name] for name in _AS_THEY_ARE),
    *(jobs.c.state, jobs.c.tags, jobs.c.progress, _FIRST_ENGINE),
    func.substr(jobs.c.error, 1, _ERROR_CHARS).label("error_beginning"),
)


_SUMMARIES = select(*SUMMARY).where(jobs.c.id.in_(bindparam("ids", expanding=True)))


def summary(row: AnyRow) -> JobSummary:
    """Read what `SUMMARY` selects."""
    error = _ERROR_TYPE.match(row.error_beginning or "")
    return JobSummary(
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        state=JobState(row.state),
        tags=tuple(json.loads(row.tags)),
        progress=rows.progress_record(row.progress),
        first_engine=row.first_engine,
        error_type=None if error is None else json.loads(error.group(1)),
    )


#: What the oldest of those is found by that are counted by their rows; none is looked for of those
#: that run. An index of each state holds it, with whose the jobs are.
_COUNTED = {
    JobState.SCHEDULED: jobs.c.run_at,
    JobState.OFFERED: jobs.c.created_at,
    JobState.RUNNING: None,
    JobState.HELD: jobs.c.created_at,
    JobState.FAILED: jobs.c.created_at,
}
_QUEUE, _ENGINE = by_itself(jobs.c.queue), by_itself(jobs.c.engine)


def _of_state(state: JobState) -> AnySelect:
    # One state each, as the partial indexes have them, and no index for the groups.
    moment = _COUNTED[state]
    oldest: ColumnElement[Any] = cast(null(), BigInteger)
    if moment is not None:
        first = func.min(type_coerce(moment, BigInteger))
        # What is to begin later waits for its time.
        oldest = case((first <= now_us(), first)) if state is JobState.SCHEDULED else first
    figures: dict[str, ColumnElement[Any]] = {
        "state": literal(str(state)),
        "queue": _QUEUE,
        "engine": _ENGINE,
        "jobs": func.count(),
        "oldest": oldest,
    }
    labelled = (figure.label(name) for name, figure in figures.items())
    return select(*labelled).where(in_state(state)).group_by(_QUEUE, _ENGINE)


_TALLY = union_all(*map(_of_state, _COUNTED))
_queues = distinct(jobs.c.queue)
_QUEUES = select(_queues.c.value).where(_queues.c.value.is_not(None))
_names = distinct(jobs.c.name, jobs.c.queue == bindparam("of_queue"))
_NAMES = select(_names.c.value).where(_names.c.value.is_not(None))
_ENGINES = union(select(aggregates.c.engine), select(workers.c.engine))


class Part(NamedTuple):
    """Which part of a list a page is: so many, of the list of that name."""

    limit: int
    of: str


class SqlJobLists(SqlRole):
    """`JobLists` on SQL."""

    def find(
        self, wanted: JobFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[JobSummary]:
        """Return the jobs that a filter chooses, the newest first."""
        check_limit(limit)
        chosen, of = checked(wanted), as_json(wanted)
        window = Window(lists.order_of(chosen), cursors.read(cursor, of))
        is_sqlite = self._database.is_sqlite
        edges = partial(lists.edges, chosen, is_sqlite=is_sqlite)
        found = partial(lists.places, chosen, is_sqlite=is_sqlite)
        return self._page(edges, found, window, Part(limit, of))

    def records(self, ids: Sequence[str]) -> Sequence[JobRecord]:
        """Return whole jobs in the order given, without those that are gone."""
        cursors.EXPECT.value(len(ids) <= MOST_ON_A_PAGE, f"at most {MOST_ON_A_PAGE} ids", len(ids))
        statement = select(*jobs.c).where(jobs.c.id.in_(ids))
        found = self._database.read(lambda c: c.execute(statement).all())
        by_id = {row.id: rows.job_record(row) for row in found}
        return [by_id[each] for each in ids if each in by_id]

    def count(self, wanted: JobFilter, most: int = MOST_COUNTED) -> Count:
        """Count the jobs that a filter chooses, up to a number."""
        cursors.EXPECT.whole("a most", most, least=1, most=MOST_LOOKED_THROUGH)
        chosen, is_sqlite = checked(wanted), self._database.is_sqlite
        edges = partial(lists.edges, chosen, is_sqlite=is_sqlite)

        def work(connection: Connection) -> Count:
            lists.go_by_index(connection)
            look, number = Look(edges, Window(lists.order_of(chosen))), 0
            for part in look.parts(connection):
                left = most + 1 - number
                few = lists.number(chosen, part, left, is_sqlite=is_sqlite)
                number += connection.execute(few).scalar_one()
                if number > most:
                    break
            return Count(min(number, most), number > most or look.after is not None)

        return self._database.snapshot(work)

    def tally(self) -> Sequence[Tally]:
        """Return how many jobs of each queue are in each state on each engine."""

        def work(connection: Connection) -> Sequence[AnyRow]:
            lists.go_by_index_alone(connection)
            return connection.execute(_TALLY).all()

        return [_tally(row) for row in self._database.snapshot(work)]

    def causes(self) -> Causes:
        """Group the newest dead letters by what they failed with."""
        return self._database.snapshot(causes.newest)

    def known(self) -> Known:
        """Return the names that jobs of the ledger have, each in its order."""

        def work(connection: Connection) -> Known:
            queues = connection.execute(_QUEUES).scalars().all()
            names: set[str] = set()
            for queue in queues:
                names.update(connection.execute(_NAMES, {"of_queue": queue}).scalars())
            engines = {each for each in connection.execute(_ENGINES).scalars() if each}
            return Known(sorted(queues), sorted(names), sorted(engines))

        return self._database.read(work)

    def groups(self, cursor: str | None = None, limit: int = 50) -> Page[GroupRecord]:
        """Return the groups, the newest first."""
        return _GROUPS.page(self._database, cursor, limit)

    def chains(self, cursor: str | None = None, limit: int = 50) -> Page[JobSummary]:
        """Return the first jobs of the chains, the newest first."""
        check_limit(limit)
        window = Window(after=cursors.read(cursor, _CHAINS))
        found = partial(lists.chains, is_sqlite=self._database.is_sqlite)
        return self._page(lists.chain_edges, found, window, Part(limit, _CHAINS))

    def _page(
        self, edges: Edges, found: Callable[[Window, int], AnySelect], window: Window, part: Part
    ) -> Page[JobSummary]:
        """Return a page of a list.

        Args:
            edges: Selects up to where each part of it goes, see `Look`.
            found: Selects the places of a part, up to a number.
            window: Where the page begins.
            part: What it is of.
        """
        limit, of = part.limit, part.of

        def work(connection: Connection) -> Page[JobSummary]:
            lists.go_by_index(connection)
            look, places = Look(edges, window), list[AnyRow]()
            for each in look.parts(connection):
                places += connection.execute(found(each, limit + 1 - len(places))).all()
                if len(places) > limit:
                    break
            items = _summaries(connection, [place.id for place in places[:limit]])
            if len(places) > limit:
                last = places[limit - 1]
                return Page(items, cursors.written(Place(last.at, last.id), of))
            if look.after is None:
                return Page(items)
            return Page(items, cursors.written(look.after, of), look.rows)

        return self._database.snapshot(work)


#: What distinguishes the cursors of the list of chains from those of others.
_CHAINS = "chains:"
_GROUPS = Listing(groups, "created_at", rows.group_record)


def _summaries(connection: Connection, ids: Sequence[str]) -> Sequence[JobSummary]:
    """Return jobs in the order given."""
    if not ids:
        return ()
    found = connection.execute(_SUMMARIES, {"ids": ids})
    by_id = {row.id: summary(row) for row in found}
    return [by_id[each] for each in ids]


def _tally(row: AnyRow) -> Tally:
    since = None if row.oldest is None else instant(row.oldest)
    return Tally(row.queue, row.engine, JobState(row.state), row.jobs, since)
