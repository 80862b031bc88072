"""What a dispatch passes to the ledger."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from failsoft.job_engine.policies.limits import NO_LIMITS, Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be recorded.

    Attributes:
        payload: The payload as JSON text.
        payload_sha: Its `digest`; shows whether a repeated key means the same work.
        key_for: How long its idempotency key or, where it has none, its id is remembered from now
            on, whatever becomes of the job; None for an id that no caller has before.
        trace_context: The trace that it belongs to, as `trace_context.kept` has it.
        delay: How long it waits from now on the database's clock; None offers it at once.
        run_at: The moment it waits for; None offers it at once.
        expires_at: The moment by which it must have begun, or is cancelled.
        expires_in: The same as a span from now on the database's clock.
        unique: The key that no other job may hold meanwhile.
        latest_in: Where it replaces a job that waits: how long after that one was first
            dispatched it is due at the latest.
        limits: What it may have to wait for when its time has come; it is never recorded offered.
        follow_ups: What its end sets off, as `FollowUps.text` has it.
        waits_for: The job or the group whose end lets it start; it waits for no time then.
    """

    id: str
    name: str
    queue: str
    payload: str
    payload_sha: str
    idempotency_key: str | None = None
    delay: timedelta | None = None
    run_at: datetime | None = None
    priority: int = 0
    engines: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    version: int = 1
    expires_at: datetime | None = None
    expires_in: timedelta | None = None
    unique: UniqueKey | None = None
    latest_in: timedelta | None = None
    limits: Limits = NO_LIMITS
    follow_ups: str | None = None
    waits_for: str | None = None
    key_for: timedelta | None = None
    trace_context: str | None = None


@dataclass(frozen=True, slots=True)
class OfferPlan:
    """Which engine gets the next offer, and by when it must be claimed.

    Attributes:
        if_room: Offer a job that has limits only where they leave room and none waits for it.
    """

    engine: str
    pickup: timedelta
    reason: str = ""
    if_room: bool = False
