"""Lists and figures of the jobs of a ledger in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import (
    MOST_COUNTED,
    MOST_GROUPED,
    MOST_OF_A_LINE,
    MOST_ON_A_PAGE,
    Cause,
    Causes,
    Count,
    JobSummary,
    Known,
    Page,
    Relations,
    Story,
    Tally,
)
from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.ports.job_filter import (
    MOST_LOOKED_THROUGH,
    JobFilter,
    as_json,
    checked,
    moment_of,
)
from failsoft.job_engine.records.follow_ups import FollowUps, failure_id, follow_ups_from
from failsoft.job_engine.records.groups import GroupRecord, is_member
from failsoft.job_engine.records.job import JobRecord, TryOutcome
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger.reader import MemoryReader, fits
from failsoft.testing.memory_ledger.rows import Row

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNCOUNTED = (JobState.SUCCEEDED, JobState.CANCELLED)
_OF_ROW = (
    *("id", "name", "queue", "state", "engine", "epoch", "claims", "handoffs", "priority", "tags"),
    *("cancel_requested", "progress", "idempotency_key", "retry_of", "parent_id"),
    *("created_at", "run_at", "started_at", "finished_at"),
)


def microseconds(moment: datetime | None) -> int:
    """Return a moment as a place in a list has it."""
    return 0 if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


class Part(NamedTuple):
    """Which part of a list is a page: after a cursor, so long, of the list of that name."""

    cursor: str | None
    limit: int
    of: str


def page_of(found: Iterable[T], place: Callable[[T], Place], part: Part) -> Page[T]:
    """Return a page of items, the latest first, ties by id."""
    limit, of = part.limit, part.of
    cursors.EXPECT.whole("a limit", limit, least=1, most=MOST_ON_A_PAGE)
    after = cursors.read(part.cursor, of)
    ordered = sorted(((place(each), each) for each in found), key=lambda pair: _rank(pair[0]))
    rest = [pair for pair in ordered if after is None or _rank(pair[0]) > _rank(after)]
    more = cursors.written(rest[limit - 1][0], of) if len(rest) > limit else None
    return Page([each for _, each in rest[:limit]], more)


def _rank(place: Place) -> tuple[int, str]:
    return -place.at, place.id


class MemoryJobLists(MemoryReader):
    """`JobLists` and `JobStories` in memory."""

    def find(
        self, wanted: JobFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[JobSummary]:
        """Return the jobs that a filter chooses, the newest first."""
        chosen = checked(wanted)
        with self.transaction():
            rows = page_of(
                self.chosen(chosen), place_in(chosen), Part(cursor, limit, as_json(chosen))
            )
            return Page([self._summary(row) for row in rows.items], rows.after)

    def records(self, ids: Sequence[str]) -> Sequence[JobRecord]:
        """Return whole jobs in the order given, without those that are gone."""
        cursors.EXPECT.value(len(ids) <= MOST_ON_A_PAGE, f"at most {MOST_ON_A_PAGE} ids", len(ids))
        with self.transaction():
            return [self._store.rows[each].record() for each in ids if each in self._store.rows]

    def count(self, wanted: JobFilter, most: int = MOST_COUNTED) -> Count:
        """Count the jobs that a filter chooses, up to a number."""
        cursors.EXPECT.whole("a most", most, least=1, most=MOST_LOOKED_THROUGH)
        chosen = checked(wanted)
        with self.transaction():
            number = len(self.chosen(chosen))
            return Count(min(number, most), number > most)

    def tally(self) -> Sequence[Tally]:
        """Return how many jobs of each queue are in each state on each engine."""
        with self.transaction():
            rows = [row for row in self._store.rows.values() if row.state not in _UNCOUNTED]
            counted = Counter((row.queue, row.engine, row.state) for row in rows)
            return [
                Tally(*lane, count, self._oldest(lane, rows)) for lane, count in counted.items()
            ]

    def causes(self) -> Causes:
        """Group the newest dead letters by what they failed with."""
        with self.transaction():
            dead = [row for row in self._store.rows.values() if row.state is JobState.FAILED]
            dead.sort(key=lambda row: row.finished_at or row.created_at, reverse=True)
            alike: dict[tuple[str, str, str], list[Row]] = {}
            for row in dead[:MOST_GROUPED]:
                alike.setdefault(_cause_of(row), []).append(row)
            found = [_cause(cause, rows) for cause, rows in alike.items()]
            found.sort(key=lambda cause: (-cause.count, cause.name))
            return Causes(found, len(dead[:MOST_GROUPED]), len(dead) > MOST_GROUPED)

    def known(self) -> Known:
        """Return the names that jobs of the ledger have, each in its order."""
        with self.transaction():
            rows = list(self._store.rows.values())
            engines = {row.engine for row in rows if row.engine and row.state.is_terminal}
            engines |= {worker.engine for worker in self._store.workers.values()}
            return Known(
                sorted({row.queue for row in rows}),
                sorted({row.name for row in rows}),
                sorted(engines),
            )

    def groups(self, cursor: str | None = None, limit: int = 50) -> Page[GroupRecord]:
        """Return the groups, the newest first."""
        with self.transaction():
            age = {group_id: n for n, group_id in enumerate(self._store.groups)}
            found = self._store.groups.values()
            return page_of(found, lambda g: Place(age[g.id], g.id), Part(cursor, limit, "groups:"))

    def chains(self, cursor: str | None = None, limit: int = 50) -> Page[JobSummary]:
        """Return the first jobs of the chains, the newest first."""
        with self.transaction():
            firsts = (row for row in self._store.rows.values() if row.id.endswith("-0"))
            found = [row for row in firsts if _ends(row).then is not None]
            rows = page_of(found, place_in({}), Part(cursor, limit, "chains:"))
            return Page([self._summary(row) for row in rows.items], rows.after)

    def story(self, job_id: str) -> Story:
        """Return everything that the ledger keeps of a job."""
        with self.transaction():
            row = self._store.rows.get(job_id)
            if row is None:
                raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
            return Story(
                row.record(),
                self.tries(job_id),
                self.attempts(job_id),
                self.steps(job_id),
                self.events(job_id),
                self.relatives(job_id),
            )

    def relatives(self, job_id: str) -> Relations:
        """Return the jobs that a job belongs with."""
        with self.transaction():
            row = self._store.rows.get(job_id)
            return Relations() if row is None else self._relations(row)

    def chosen(self, wanted: JobFilter) -> list[Row]:
        """Return the rows that a filter chooses."""
        moment = "created_at" if _is_by_id(wanted) else moment_of(wanted)
        return [row for row in self._store.rows.values() if self._is_chosen(row, wanted, moment)]

    def _is_chosen(self, row: Row, wanted: JobFilter, moment: str) -> bool:
        worker = wanted.get("worker")
        mine = self._store.attempts[row.id].values()
        return fits(row, wanted, moment) and (
            worker is None or any(attempt.worker == worker for attempt in mine)
        )

    def _oldest(
        self, lane: tuple[str, str | None, JobState], rows: Sequence[Row]
    ) -> datetime | None:
        now, state = self._store.clock.now(), lane[2]
        mine = [row for row in rows if (row.queue, row.engine, row.state) == lane]
        if state is JobState.RUNNING:
            return None
        if state is JobState.SCHEDULED:
            return min(
                (row.run_at for row in mine if row.run_at and row.run_at <= now), default=None
            )
        return min(row.created_at for row in mine)

    def _summary(self, row: Row) -> JobSummary:
        tries = sorted(self._store.tries[row.id], key=lambda each: each.epoch)
        taken = (each.engine for each in tries if each.outcome is TryOutcome.ACCEPTED)
        return JobSummary(
            **{name: getattr(row, name) for name in _OF_ROW},
            first_engine=next(taken, None),
            error_type=row.error.type if row.error else None,
        )

    def _one(self, job_id: str | None) -> JobSummary | None:
        row = None if job_id is None else self._store.rows.get(job_id)
        return None if row is None else self._summary(row)

    def _several(self, is_meant: Callable[[Row], bool]) -> Sequence[JobSummary]:
        found = [row for row in self._store.rows.values() if is_meant(row)]
        found.sort(key=lambda row: (row.created_at, row.id))
        return tuple(self._summary(row) for row in found)

    def _relations(self, row: Row) -> Relations:
        then_of = {
            ends.then.job_id: other.id
            for other in self._store.rows.values()
            if (ends := _ends(other)).then is not None
        }
        ends = _ends(row)
        return Relations(
            origin=self._one(row.retry_of),
            again=self._several(lambda other: other.retry_of == row.id),
            parent=self._one(row.parent_id),
            children=self._several(lambda other: other.parent_id == row.id),
            before=self._one(then_of.get(row.id)),
            then=self._one(ends.then.job_id if ends.then else None),
            hook=self._one(failure_id(row.id) if ends.on_failure else None),
            group=self._group_of(row, ends),
        )

    def _group_of(self, row: Row, ends: FollowUps) -> GroupRecord | None:
        for group in self._store.groups.values():
            counts = ends.group == group.id and is_member(row.id, group.id)
            if counts or group.completion_id == row.id:
                return group
        return None


def place_in(wanted: JobFilter) -> Callable[[Row], Place]:
    """Return what says where a row stands in the list of a filter."""
    if _is_by_id(wanted):
        return lambda row: Place(0, row.id)
    moment = moment_of(wanted)
    return lambda row: Place(microseconds(getattr(row, moment)), row.id)


def _is_by_id(wanted: JobFilter) -> bool:
    return wanted.get("id") is not None or wanted.get("group") is not None


def _cause_of(row: Row) -> tuple[str, str, str]:
    if row.error is None:
        return row.name, "unknown", ""
    return row.name, row.error.type, row.error.message.partition("\n")[0][:MOST_OF_A_LINE]


def _cause(cause: tuple[str, str, str], rows: Sequence[Row]) -> Cause:
    ends = [row.finished_at or row.created_at for row in rows]
    engines = frozenset(row.engine for row in rows if row.engine)
    return Cause(*cause, len(rows), ends[-1], ends[0], engines, rows[0].id)


def _ends(row: Row) -> FollowUps:
    return FollowUps() if row.follow_ups is None else follow_ups_from(row.follow_ups)
