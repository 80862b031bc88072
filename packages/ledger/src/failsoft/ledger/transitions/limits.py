"""Limits on SQL: a claim finds room under the lock of its key, or the job waits on (I12).

An offer looks first, without a lock, so that few claims find no room; only the claim decides.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    tuple_,
)

from failsoft.job_engine.errors import JobDeferredError
from failsoft.job_engine.policies.limits import Limit, Limits, LimitUse
from failsoft.job_engine.ports.clock import DELAY
from failsoft.job_engine.records.job import Claim, JobRecord, Ticket
from failsoft.job_engine.records.states import CLAIM, DEFER, JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import IS_LIMITED, by_itself, jobs
from failsoft.ledger.schema.tables import attempts, rate_starts
from failsoft.ledger.transitions.compare_and_set import After, Cause, Change, compare_and_set
from failsoft.ledger.transitions.consequences import wake

#: How many starts that no limit counts any more are forgotten at a time.
FORGET = 100

_TAKEN = (JobState.OFFERED, JobState.RUNNING)
_OFFER = select(*jobs.c).where(
    jobs.c.id == bindparam("job"),
    by_itself(jobs.c.state) == JobState.OFFERED,
    jobs.c.epoch == bindparam("epoch"),
    IS_LIMITED,
)


def _count(key: str, *states: JobState) -> Select[int]:
    return (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c[key] == bindparam("key"), jobs.c.state.in_(states))
        .where(jobs.c.finished_at.is_(None))
    )


_RUNNING = _count("concurrency_key", JobState.RUNNING)
_ON_THEIR_WAY = _count("concurrency_key", *_TAKEN)
_TO_BEGIN = _count("rate_key", JobState.OFFERED)
_STARTS = (
    select(rate_starts.c.at)
    .where(
        rate_starts.c.key == bindparam("key"),
        rate_starts.c.at > now_us() - bindparam("period", type_=BigInteger),
    )
    .order_by(rate_starts.c.at.desc())
    .limit(bindparam("most"))
)
_START = ("job_id", "epoch", "key", "at", "expires_at")
_EXPIRED = (
    select(rate_starts.c.job_id, rate_starts.c.epoch)
    .where(rate_starts.c.expires_at <= now_us())
    .limit(FORGET)
    .with_for_update(skip_locked=True)
)
_FORGET = delete(rate_starts).where(tuple_(rate_starts.c.job_id, rate_starts.c.epoch).in_(_EXPIRED))


def claim(
    connection: Connection, ticket: Ticket, change: Change
) -> AnyRow | JobDeferredError | None:
    """Claim a job that has limits, if they leave room; else let it wait for its turn.

    Args:
        connection: The transaction of the claim.
        ticket: What the worker shows.
        change: What the claim is tried with.

    Returns:
        The claimed row, why it was deferred, or None if the offer is void (rule 6).
    """
    offer = {"job": ticket.job_id, "epoch": ticket.epoch}
    found = connection.execute(_OFFER, offer).one_or_none()
    if found is None:
        return None
    limits = rows.limits(found)
    for key in sorted(limit.key for limit in (limits.concurrency, limits.rate) if limit):
        # Of two claims the second counts when the first has committed.
        wake.lock(connection, key)
    full = [use for use in uses(connection, limits) if use.is_full]
    if full:
        return _defer(connection, change, _free_at(connection, full[0].limit), str(full[0]))
    return compare_and_set(connection, CLAIM, change)


def note_start(connection: Connection, claim: Claim, rate: Limit) -> None:
    """Count an attempt that a rate limit lets begin, once it is recorded; the key is locked."""
    assert rate.period is not None  # noqa: S101 - a rate limit has one
    period = microseconds(rate.period)
    # The moment that the attempt itself has: the check of the histories counts the same.
    began = select(
        attempts.c.job_id,
        attempts.c.epoch,
        literal(rate.key),
        attempts.c.started_at,
        attempts.c.started_at + literal(period, BigInteger),
    ).where(attempts.c.job_id == claim.job_id, attempts.c.epoch == claim.epoch)
    connection.execute(insert(rate_starts).from_select(_START, began))
    connection.execute(_FORGET)


def has_room(connection: Connection, seen: JobRecord) -> bool:
    """Return whether a job that is due may be offered before those that wait for the same room."""
    limits = seen.limits
    if limits.concurrency is not None:
        taken = connection.execute(_ON_THEIR_WAY, {"key": limits.concurrency.key}).scalar_one()
        if taken >= limits.concurrency.most or _others_wait(connection, seen, "concurrency_key"):
            return False
    if limits.rate is not None:
        offered = connection.execute(_TO_BEGIN, {"key": limits.rate.key}).scalar_one()
        starts = len(_starts(connection, limits.rate))
        if offered + starts >= limits.rate.most or _others_wait(connection, seen, "rate_key"):
            return False
    return True


def uses(connection: Connection, limits: Limits) -> Sequence[LimitUse]:
    """Return how much of the room is taken that the limits of a job leave."""
    found = []
    if limits.concurrency is not None:
        key = {"key": limits.concurrency.key}
        running = connection.execute(_RUNNING, key).scalar_one()
        found.append(LimitUse(limits.concurrency, running))
    if limits.rate is not None:
        found.append(LimitUse(limits.rate, len(_starts(connection, limits.rate))))
    return found


def next_room(connection: Connection, full: Limit) -> datetime | None:
    """Return when a full rate leaves room again; None where it does by now."""
    assert full.period is not None  # noqa: S101 - a rate limit has one
    starts = _starts(connection, full)
    return starts[-1] + full.period if len(starts) >= full.most else None


def _others_wait(connection: Connection, seen: JobRecord, column: str) -> bool:
    limit = seen.limits.concurrency if column == "concurrency_key" else seen.limits.rate
    assert limit is not None  # noqa: S101 - the caller looked
    waits = exists().where(
        jobs.c[column] == limit.key,
        jobs.c.state == JobState.SCHEDULED,
        jobs.c.finished_at.is_(None),
        jobs.c.run_at <= now_us(),
        jobs.c.id != seen.id,
    )
    return bool(connection.execute(select(waits)).scalar_one())


def _starts(connection: Connection, rate: Limit) -> Sequence[datetime]:
    """Return when the newest attempts began that a rate limit counts, the newest first."""
    assert rate.period is not None  # noqa: S101 - a rate limit has one
    given = {"key": rate.key, "period": microseconds(rate.period), "most": rate.most}
    return connection.execute(_STARTS, given).scalars().all()


def _free_at(connection: Connection, full: Limit) -> datetime | After:
    """Return when there may be room again."""
    if full.period is None:
        # Due at once: the look for due jobs sees when there is room.
        return After(timedelta(0))
    return _starts(connection, full)[-1] + full.period


def _defer(
    connection: Connection, change: Change, run_at: datetime | After, reason: str
) -> JobDeferredError | None:
    # The engine did its part: the patience with it begins anew.
    values = {"run_at": run_at, "pickup_by": None, "pickups_missed": 0}
    guard = {name: change.guard[name] for name in DEFER.fence.value}
    deferred = replace(
        change,
        guard=guard,
        values=values,
        cause=Cause(change.cause.actor, {"reason": reason, DELAY: 0.0}),
    )
    row = compare_and_set(connection, DEFER, deferred)
    return None if row is None else JobDeferredError(f"job {row.id} waits for its turn: {reason}")
