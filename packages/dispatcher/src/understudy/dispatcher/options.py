"""The options of one dispatch, and the job that they make; everything wrong is refused here."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from pydantic import BaseModel

from understudy.job_engine.clock import Clock
from understudy.job_engine.codec import MAX_PAYLOAD_BYTES, encode_payload
from understudy.job_engine.definition import MAX_PRIORITY, AnyDefinition
from understudy.job_engine.errors import JobIdInvalidError, OptionInvalidError
from understudy.job_engine.message import is_job_id
from understudy.job_engine.records import NewJob
from understudy.job_engine.sequel import sequel_of

MAX_KEY_CHARS = 255


class DispatchOptions(TypedDict, total=False):
    """The options of one dispatch.

    Attributes:
        job_id: The job's id; a new one where absent.
        idempotency_key: Dispatching the same job with the same key again makes no second one.
        on_duplicate: What a used key does: return the existing job, or raise.
        delay: How long the job waits first.
        run_at: The aware moment it waits for.
        priority: From -100 to 100; the definition's where absent.
        engines: The engines it may run on, in order; the definition's where absent.
        tags: Words to find the job by, besides the definition's.
        confirm: `engine` returns when an engine has the job, `pickup` when a worker has.
        budget: How long handing the job over may take.
        pickup: How long a worker may take to claim it; the queue's deadline where absent.
    """

    job_id: str
    idempotency_key: str
    on_duplicate: Literal["return_existing", "raise"]
    delay: timedelta
    run_at: datetime
    priority: int
    engines: Sequence[str]
    tags: Sequence[str]
    confirm: Literal["engine", "pickup"]
    budget: timedelta
    pickup: timedelta


def new_job(
    definition: AnyDefinition, payload: BaseModel, options: DispatchOptions, clock: Clock
) -> NewJob:
    """Make the job of a dispatch.

    Raises:
        DispatchError: If the payload or an option is wrong; nothing is stored then.
    """
    _check(options)
    text = encode_payload(payload, definition.payload_type, MAX_PAYLOAD_BYTES)
    return NewJob(
        id=options.get("job_id") or _new_id(clock),
        name=definition.name,
        queue=definition.queue.name,
        payload=text,
        payload_sha=hashlib.sha256(text.encode()).hexdigest(),
        idempotency_key=options.get("idempotency_key"),
        delay=options.get("delay"),
        run_at=options.get("run_at"),
        priority=options.get("priority", definition.priority),
        engines=tuple(options.get("engines", definition.engines)),
        tags=(*definition.tags, *options.get("tags", ())),
        sequel=sequel_of(definition).text,
    )


def _new_id(clock: Clock) -> str:
    # The time comes first, so that new jobs stand together in the ledger's index.
    return f"{int(clock.now().timestamp() * 1000):012x}{secrets.token_hex(10)}"


def _check(options: DispatchOptions) -> None:
    job_id = options.get("job_id")
    if job_id is not None and not is_job_id(job_id):
        raise JobIdInvalidError(
            f"expected a job id of 1 to 64 letters, digits, `_` or `-`, got {job_id!r}"
        )
    key = options.get("idempotency_key")
    _expect(
        key is None or 0 < len(key) <= MAX_KEY_CHARS,
        f"an idempotency_key of 1 to {MAX_KEY_CHARS} characters",
        key,
    )
    _check_time(options)
    _check_choices(options)


def _check_time(options: DispatchOptions) -> None:
    delay, run_at = options.get("delay"), options.get("run_at")
    _expect(delay is None or run_at is None, "a delay or a run_at", "both")
    _expect(delay is None or delay >= timedelta(0), "a delay of zero or more", delay)
    _expect(run_at is None or run_at.tzinfo is not None, "a run_at with a time zone", run_at)
    budget, pickup = options.get("budget"), options.get("pickup")
    _expect(budget is None or budget > timedelta(0), "a budget above zero", budget)
    _expect(pickup is None or pickup > timedelta(0), "a pickup deadline above zero", pickup)


def _check_choices(options: DispatchOptions) -> None:
    priority = options.get("priority", 0)
    _expect(
        abs(priority) <= MAX_PRIORITY,
        f"a priority from -{MAX_PRIORITY} to {MAX_PRIORITY}",
        priority,
    )
    duplicate = options.get("on_duplicate", "raise")
    _expect(duplicate in ("return_existing", "raise"), "return_existing or raise", duplicate)
    confirm = options.get("confirm", "engine")
    _expect(confirm in ("engine", "pickup"), "confirm='engine' or 'pickup'", confirm)


def _expect(met: bool, expected: str, got: Any) -> None:
    if not met:
        raise OptionInvalidError(f"expected {expected}, got {got!r}")
