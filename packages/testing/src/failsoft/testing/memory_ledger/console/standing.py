"""What the jobs of a ledger in memory stand still for."""

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import (
    MOST_COUNTED,
    MOST_ON_A_PAGE,
    Count,
    KeyUse,
    Page,
    Waiting,
    waiting_of,
)
from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger import limits as limit_looks
from failsoft.testing.memory_ledger.console.lists import MemoryJobLists
from failsoft.testing.memory_ledger.rows import Row


class MemoryStanding(MemoryJobLists):
    """`Standing` in memory."""

    def waits(self, cursor: str | None = None, limit: int = 50) -> Page[Waiting]:
        """Return the jobs that wait for events and for other jobs."""
        with self.transaction():
            found = {
                f"{row.awaits}/{row.id}": row for row in self._store.rows.values() if row.awaits
            }
            names, after = _part(found, cursor, limit, "waits")
            return Page([self._waiting(found[name]) for name in names], after)

    def limit_keys(self, cursor: str | None = None, limit: int = 50) -> Page[KeyUse]:
        """Return the keys of limits that jobs have which have not ended."""
        with self.transaction():
            rows = [row for row in self._store.rows.values() if not row.state.is_terminal]
            found: dict[str, tuple[Row, Limits]] = {}
            for row in rows:
                for place, limits in enumerate(
                    (Limits(row.limits.concurrency), Limits(rate=row.limits.rate))
                ):
                    if limit_ := limits.concurrency or limits.rate:
                        found.setdefault(f"{place}/{limit_.key}", (row, limits))
            names, after = _part(found, cursor, limit, "limit keys")
            return Page([self._use(*found[name]) for name in names], after)

    def _waiting(self, row: Row) -> Waiting:
        step = next(each for each in self.steps(row.id) if each.kind is StepKind.WAIT)
        assert step.recorded_at is not None  # noqa: S101 - it is recorded
        return waiting_of(self._summary(row), step, step.recorded_at)

    def _use(self, row: Row, limits: Limits) -> KeyUse:
        (use,) = limit_looks.uses(self._store, limits)
        is_mine = _of_rate if limits.rate else _of_concurrency
        waiting = [
            each
            for each in self._store.rows.values()
            if each.state is JobState.SCHEDULED and is_mine(each, use.limit)
        ]
        room = limit_looks.free_at(self._store, use.limit) if limits.rate and use.is_full else None
        number = len(waiting)
        return KeyUse(row.name, use, Count(min(number, MOST_COUNTED), number > MOST_COUNTED), room)


def _of_rate(row: Row, limit: Limit) -> bool:
    return row.limits.rate is not None and row.limits.rate.key == limit.key


def _of_concurrency(row: Row, limit: Limit) -> bool:
    return row.limits.concurrency is not None and row.limits.concurrency.key == limit.key


def _part(
    found: dict[str, Row] | dict[str, tuple[Row, Limits]], cursor: str | None, limit: int, of: str
) -> tuple[list[str], str | None]:
    cursors.EXPECT.whole("a limit", limit, least=1, most=MOST_ON_A_PAGE)
    place = cursors.read(cursor, of)
    names = sorted(name for name in found if place is None or name > place.id)
    more = cursors.written(Place(0, names[limit - 1]), of) if len(names) > limit else None
    return names[:limit], more
