"""Manual retries: of one job, or of many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import (
    FailsoftError,
    JobNotFoundError,
    JobStateError,
    OptionInvalidError,
    UniqueKeyHeldError,
)
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.manual_retry import DeadLetters, ManualRetry
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_payload


@dataclass(frozen=True, slots=True)
class RetryRefusal:
    """A job that was not tried again.

    Attributes:
        job_id: The job whose work is not done again.
        error: The type of the error.
        code: Its code, as `FS-032`.
        reason: The error's message.
        holder_id: The job that holds its unique key, where that is why: to wait for, or to cancel.
    """

    job_id: str
    error: str
    code: str
    reason: str
    holder_id: str | None = None

    @classmethod
    def of(cls, job_id: str, error: FailsoftError) -> "RetryRefusal":
        """Return the refusal that an error stands for."""
        holder_id = error.holder_id if isinstance(error, UniqueKeyHeldError) else None
        return cls(job_id, type(error).__name__, error.code, str(error), holder_id)


@dataclass(frozen=True, slots=True)
class RetryReport:
    """What became of many retries.

    Attributes:
        retried: The old job's id and the new one's, in the order of their failures.
        skipped: Jobs that were gone or no longer failed when their turn came.
        refused: Jobs whose unique key another one holds; they may be tried again later.
    """

    retried: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    refused: tuple[RetryRefusal, ...] = ()


def retry(
    ledger: ControlLedger,
    job_id: str,
    *,
    payload: BaseModel | None = None,
    definition: AnyDefinition | None = None,
    from_step: str | None = None,
    reason: str = "",
    actor: str,
) -> JobRecord:
    """Do the work of an ended job again, as a new job; see `JobHandle.retry`.

    Another payload must be of `definition`, if that is given.
    """
    if payload is not None and from_step is not None:
        raise OptionInvalidError("expected another payload or a step to replay from, got both")
    retry = ManualRetry(job_id, actor, reason, from_step)
    if payload is not None:
        expected = type(payload) if definition is None else definition.payload_type
        text = encode_payload(payload, expected, MAX_PAYLOAD_BYTES)
        retry = replace(retry, payload=text)
        if definition is not None:
            limits, version = definition.limits(payload), definition.version
            unique = definition.unique.key(payload) if definition.unique else None
            retry = replace(retry, version=version, limits=limits, unique=unique)
    return ledger.retry(retry)[0]


def retry_many(
    ledger: ControlLedger,
    wanted: DeadLetters,
    *,
    reason: str = "",
    actor: str,
) -> RetryReport:
    """Try failed jobs again that were not tried again before, each in a transaction of its own.

    What fails again meanwhile is not tried a second time, and of those that share a unique key
    the oldest is. `Dispatcher.retry_many` describes the arguments.
    """
    return retry_each(ledger, ledger.dead_letters(wanted), reason=reason, actor=actor)


def retry_each(
    ledger: ControlLedger,
    job_ids: Sequence[str],
    *,
    reason: str = "",
    actor: str,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
) -> RetryReport:
    """Try the failed jobs of some ids again, in their order; see `retry_many`.

    `on_progress` is called after each with how many of how many are done.
    """
    retried, skipped, refused = [], [], []
    for done, job_id in enumerate(job_ids, 1):
        try:
            job, _ = ledger.retry(ManualRetry(job_id, actor, reason))
            retried.append((job_id, job.id))
        except UniqueKeyHeldError as error:
            refused.append(RetryRefusal.of(job_id, error))
        except (JobNotFoundError, JobStateError):
            skipped.append(job_id)
        on_progress(done, len(job_ids))
    return RetryReport(tuple(retried), tuple(skipped), tuple(refused))
