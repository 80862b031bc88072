"""What the end of a job sets off, kept with the job from its dispatch on.

Names and values only, never code: whichever process ends the job carries it out, in the
transaction that ends it, and may know none of the definitions.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache

from pydantic import TypeAdapter

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.limits import Concurrency, RateLimit, limits_of
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.failure import JobFailure
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.values.canonical import digest

#: The idempotency key of a hook's job begins with this, and ends with the id of what failed.
FAILURE_PREFIX = "on_failure:"
#: How many jobs may be dispatched to begin after one that was recorded before them.
MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class OnFailureJob:
    """The job that a failure sets off, and what the failure of that one does."""

    name: str
    queue: str
    priority: int = 0
    engines: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    concurrency: Concurrency | None = None
    rate_limit: RateLimit | None = None
    on_failure: "OnFailureJob | None" = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class NextJob:
    """The next job of a chain, and the field of its payload that takes the result."""

    job_id: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class FollowUps:
    """Everything that the end of a job sets off.

    Attributes:
        on_failure: What a failure dispatches.
        then: What a success starts, and any other end cancels.
        group: The group that counts the end.
        waiting: The ids of the jobs that were dispatched to begin after it: the same for each.
    """

    on_failure: OnFailureJob | None = None
    then: NextJob | None = None
    group: str | None = None
    waiting: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """Return it as the ledger keeps it; None if nothing is set off."""
        if self == FollowUps():
            return None
        return _adapter().dump_json(self, exclude_defaults=True).decode()


@cache
def _adapter() -> TypeAdapter[FollowUps]:
    # Built when it is first needed: most processes that import this read no follow-ups.
    return TypeAdapter(FollowUps)


def follow_ups_from(text: str) -> FollowUps:
    """Read what the ledger keeps."""
    return _adapter().validate_json(text)


def with_waiting(text: str | None, job_id: str) -> str | None:
    """Return what the end of a job sets off, with one more job that waits for it.

    Raises:
        OptionInvalidError: Too many do already.
    """
    before = FollowUps() if text is None else follow_ups_from(text)
    if len(before.waiting) >= MAX_WAITING:
        raise OptionInvalidError(
            f"expected at most {MAX_WAITING} jobs that are dispatched to begin after another one, "
            "got one more; dispatch a group whose completion dispatches the others"
        )
    return replace(before, waiting=(*before.waiting, job_id)).text


def counts_in(text: str | None, group_id: str) -> bool:
    """Return whether a job's end counts in a group, by what the ledger keeps."""
    return text is not None and follow_ups_from(text).group == group_id


def failure_job(hook: OnFailureJob, failed: JobRecord) -> NewJob:
    """Make the job of a hook. Its id comes from the failed job's, so that it is made once."""
    error = failed.error or ErrorRecord("unknown", "no error was recorded")
    failure = JobFailure(
        job_id=failed.id,
        name=failed.name,
        queue=failed.queue,
        payload=json.loads(failed.payload),
        error_type=error.type,
        error_message=error.message,
        attempts=failed.claims,
    )
    payload = failure.model_dump_json()
    return NewJob(
        id=failure_id(failed.id),
        name=hook.name,
        queue=hook.queue,
        payload=payload,
        payload_sha=digest(payload),
        idempotency_key=failure_key(failed.id),
        priority=hook.priority,
        engines=hook.engines,
        tags=hook.tags,
        version=hook.version,
        follow_ups=FollowUps(on_failure=hook.on_failure).text,
        limits=limits_of(hook.name, failure, hook.concurrency, hook.rate_limit),
        trace_context=failed.trace_context,
    )


def failure_key(job_id: str) -> str:
    """Return the idempotency key of the job that a failure sets off."""
    return f"{FAILURE_PREFIX}{job_id}"


def failure_id(job_id: str) -> str:
    """Return the id of that job."""
    return _sha(failure_key(job_id))[:32]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
