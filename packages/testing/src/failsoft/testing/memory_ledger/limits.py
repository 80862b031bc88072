"""The limits of jobs in a ledger in memory: what is counted, and which jobs have room (I12)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from failsoft.job_engine.policies.limits import Limit, Limits, LimitUse
from failsoft.job_engine.records.states import JobState
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import Store

_TAKEN = (JobState.OFFERED, JobState.RUNNING)


def uses(store: Store, limits: Limits) -> list[LimitUse]:
    """Return how much of the room is taken that the limits of a job leave."""
    concurrency, rate, found = limits.concurrency, limits.rate, list[LimitUse]()
    if concurrency is not None:
        found.append(LimitUse(concurrency, _busy(store, concurrency, JobState.RUNNING)))
    if rate is not None:
        found.append(LimitUse(rate, min(len(_starts(store, rate)), rate.most)))
    return found


def free_at(store: Store, full: Limit) -> datetime:
    """Return when there may be room again."""
    if full.period is None:
        return store.clock.now()
    return _starts(store, full)[-full.most] + full.period


def has_room(store: Store, row: Row) -> bool:
    """Return whether a job may be offered before those that wait for the same room."""
    return _fits(store, row, []) and not any(
        _share_a_key(row, other)
        for other in store.rows.values()
        if other.id != row.id and other.state is JobState.SCHEDULED
        if other.run_at is not None and other.run_at <= store.clock.now()
    )


def with_room(store: Store, due: Sequence[Row]) -> Iterator[Row]:
    """Choose those of the due jobs that there is room for, one after the other."""
    chosen = list[Row]()
    for row in sorted(due, key=lambda each: (-each.priority, each.created_at, each.id)):
        if _fits(store, row, chosen):
            chosen.append(row)
            yield row


def _fits(store: Store, row: Row, chosen: Sequence[Row]) -> bool:
    concurrency, rate = row.limits.concurrency, row.limits.rate
    if concurrency is not None:
        others = sum(each.limits.concurrency == concurrency for each in chosen)
        if _busy(store, concurrency, *_TAKEN) + others >= concurrency.most:
            return False
    if rate is None:
        return True
    others = sum(each.limits.rate == rate for each in chosen)
    offered = sum(_has_key(row.limits.rate, rate) for row in _in(store, JobState.OFFERED))
    return len(_starts(store, rate)) + offered + others < rate.most


def _busy(store: Store, limit: Limit | None, *states: JobState) -> int:
    return sum(_has_key(row.limits.concurrency, limit) for row in _in(store, *states))


def _starts(store: Store, rate: Limit | None) -> list[datetime]:
    if rate is None or rate.period is None:
        return []
    since = store.clock.now() - rate.period
    return [at for key, at, _ in store.starts if key == rate.key and at > since]


def _in(store: Store, *states: JobState) -> list[Row]:
    return [row for row in store.rows.values() if row.state in states]


def _has_key(one: Limit | None, other: Limit | None) -> bool:
    return one is not None and other is not None and one.key == other.key


def _share_a_key(one: Row, other: Row) -> bool:
    same_room = _has_key(one.limits.concurrency, other.limits.concurrency)
    return same_room or _has_key(one.limits.rate, other.limits.rate)
