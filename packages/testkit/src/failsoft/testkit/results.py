"""What the kit returns, raises and warns of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState

#: How an engine fails: it refuses connections; answers nothing; takes an offer and loses the
#: reply; takes offers and keeps none; takes no writes; or has no worker that lives.
Failure = Literal["refuse", "silent", "lost-reply", "forgets", "readonly", "no-workers"]
FAILURES: tuple[Failure, ...] = (
    *("refuse", "silent", "lost-reply", "forgets", "readonly", "no-workers"),
)


class UnfinishedJobs(UserWarning):
    """A test ended with jobs that were due, or whose worker had died."""


class DrainLimitError(AssertionError):
    """A drain ran as many attempts as it may, and jobs are still due."""


class ProcessDied(BaseException):
    """The process that reached this point died there.

    In a job it ends the attempt, and nothing more is recorded. A test meets it only where its own
    dispatch is what reached the point.
    """


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A job in the ledger, as it was dispatched.

    Attributes:
        id: The job's id.
        name: The name of its definition.
        payload: Its payload; a mapping where the definition is not known here.
        queue: The queue it runs on.
        delay: How long it was to wait; None if it was to begin at once.
        options: Its other options: `priority`, `engines`, `tags`, `idempotency_key`,
            `expires_at`, and each that its dispatch in this process was given.
    """

    id: str
    name: str
    payload: BaseModel | Mapping[str, Any]
    queue: str
    delay: timedelta | None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that the kit ran.

    Attributes:
        name: The name of the job's definition.
        engine: The engine whose worker ran it.
        state: The state the job was in then; None if nothing was recorded.
        died: Whether its worker died.
    """

    job_id: str
    name: str
    engine: str
    state: JobState | None
    died: bool = False


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did.

    Attributes:
        ran: How many attempts ran.
        by_engine: How many of them on each engine.
        failed: The ids of the jobs that failed for good.
        stale: How many messages were void when they were taken, or had to wait for their limits.
        died: In how many attempts the worker died.
    """

    ran: int
    by_engine: Mapping[str, int]
    failed: Sequence[str]
    stale: int
    died: int


@dataclass(frozen=True, slots=True)
class Performed:
    """What one handler did with one payload.

    Attributes:
        result: What it returned; None if it waits.
        steps: The steps that ran, and what each returned.
        slept: How long it slept, sleep by sleep; `perform` lets the time pass.
        waits: The steps in which it waits for what did not come.
    """

    result: Any
    steps: Mapping[str, Any]
    slept: Sequence[timedelta]
    waits: Sequence[str]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What new code made of a recorded job.

    Attributes:
        steps: The recorded steps that it passed over, in order.
        goes_on: Whether it went on beyond them: to its end, or to a step that is not recorded.
        mismatch: Why the job would be held: the code's steps are not the recorded ones.
    """

    steps: Sequence[str]
    goes_on: bool
    mismatch: str | None


def delay_of(job: JobRecord) -> timedelta | None:
    """Return how long a job was to wait that this process did not dispatch."""
    return None if job.run_at is None else max(timedelta(0), job.run_at - job.created_at)
