"""What an attempt's end means for its job: pure decisions, no I/O."""

from datetime import timedelta

from failsoft.job_engine.attempt.context_variables import own_copy
from failsoft.job_engine.attempt.interrupts import (
    CancelRequested,
    HoldRequested,
    Interrupt,
    Released,
    Suspended,
    TimedOut,
)
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import (
    AttemptTimeoutError,
    FailsoftError,
    JobCrashedError,
    LedgerError,
    NonRetryableError,
    PayloadInvalidError,
    ResultInvalidError,
    RetryAfterError,
)
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.job_engine.records.states import (
    CRASH,
    CRASH_OUT,
    FAIL,
    HOLD,
    RELEASE,
    RETRY,
    STOP,
    SUCCEED,
    SUSPEND,
)

#: A job whose attempts lost their process this often is failed: crash loop (rule 18).
MAX_CRASHES = 3
#: An attempt that the ledger refused is given back this often in a row before a person must look.
MAX_REFUSALS = 10
#: How the reason of a job begins that was given back because the ledger refused something.
REFUSED = "ledger refused"
#: Why a job was given back whose lease the ledger was too long away to renew.
LEDGER_AWAY = "ledger away"
#: Why a job was given back by a worker that does not know it.
UNKNOWN_JOB = "unknown job"
#: How long a job that was given back unknown waits, so that a newer worker may find it.
UNKNOWN_JOB_DELAY = timedelta(seconds=5)
#: The longest that one waits which is newer than the workers it met.
LONGEST_DELAY = timedelta(minutes=5)
#: How long a crashed job waits, times the crashes so far.
CRASH_DELAY = timedelta(seconds=1)
_REASON_CHARS = 255


def succeeded(definition: AnyDefinition, value: object) -> Conclusion:
    """Conclude an attempt whose handler returned."""
    try:
        return Conclusion(SUCCEED, result=definition.result.encode(value))
    except ResultInvalidError as error:
        # Its work is done and only its result cannot be kept: a person may accept another one.
        return Conclusion(HOLD, error=ErrorRecord.of(error), reason="result invalid")


def raised(definition: AnyDefinition, claim: Claim, error: Exception) -> Conclusion:
    """Conclude an attempt whose handler raised: another try, or the dead letter."""
    record = ErrorRecord.of(error)
    try:
        # The policy changes nothing in the calling thread, the lease keeper's or a timer's.
        delay = own_copy().run(definition.retry.delay, claim.errors + 1, error)
    except BaseException as broken:  # noqa: BLE001 - a policy may be any code
        reason = f"the retry policy raised {type(broken).__name__}"
        return Conclusion(FAIL, error=record, reason=reason)
    if delay is None:
        return Conclusion(FAIL, error=record, reason="no attempt left")
    return Conclusion(RETRY, error=record, delay=delay, reason=record.type)


def unreadable(definition: AnyDefinition, claim: Claim, error: Exception) -> Conclusion:
    """Conclude an attempt whose payload this code cannot read: no other attempt could, either."""
    if isinstance(error, NonRetryableError | RetryAfterError):
        # Its model, or an upgrade of it, says itself what is to become of the job.
        return raised(definition, claim, error)
    model = definition.payload_type.__name__
    # Of errors of the model's own code only the class is known to hold nothing of the payload.
    said = str(error) if isinstance(error, FailsoftError) else f"{type(error).__name__} was raised"
    step = (
        f", upgraded from version {claim.version} to {definition.version}"
        if claim.version < definition.version
        else ""
    )
    unreadable = PayloadInvalidError(
        f"the payload cannot be read as {model}{step}: {said}; deploy code that reads it, with an "
        "upgrade from its version where the model has changed, then resolve the job"
    )
    unreadable.__cause__ = error
    return Conclusion(
        HOLD, error=ErrorRecord.of(unreadable), reason=str(unreadable)[:_REASON_CHARS]
    )


def interrupted(definition: AnyDefinition, claim: Claim, interrupt: Interrupt) -> Conclusion:
    """Conclude an attempt that an interrupt ended.

    Raises:
        Fenced: If that was the interrupt: a fenced attempt may record nothing (I3).
    """
    match interrupt:
        case Suspended():
            return Conclusion(
                SUSPEND,
                delay=interrupt.delay,
                run_at=interrupt.run_at,
                step=interrupt.step,
                wait=interrupt.wait,
                child=interrupt.child,
            )
        case CancelRequested():
            return Conclusion(STOP)
        case Released():
            return Conclusion(RELEASE, reason="worker stops")
        case TimedOut():
            return timed_out(definition, claim)
        case HoldRequested():
            return Conclusion(HOLD, error=ErrorRecord.of(interrupt.cause), reason=str(interrupt))
        case _:
            raise interrupt


def timed_out(definition: AnyDefinition, claim: Claim) -> Conclusion:
    """Conclude an attempt that ran too long; it counts as an error."""
    limit = definition.timeout_on(claim.queue)
    return raised(
        definition,
        claim,
        AttemptTimeoutError(f"the attempt ran longer than its timeout of {limit}"),
    )


def crashed(claim: Claim, how: str) -> Conclusion:
    """Conclude an attempt whose process died."""
    error = ErrorRecord.of(JobCrashedError(f"the process that ran the attempt died: {how}"))
    if claim.crashes + 1 >= MAX_CRASHES:
        return Conclusion(CRASH_OUT, error=error, reason="crash loop")
    return Conclusion(CRASH, error=error, delay=CRASH_DELAY * (claim.crashes + 1), reason=how)


def cut_off() -> Conclusion:
    """Conclude an attempt that stopped because the ledger was away for most of its lease."""
    return Conclusion(RELEASE, reason=LEDGER_AWAY)


def refused(cause: Exception, before: int) -> Conclusion:
    """Conclude an attempt of which the ledger refused something: no error of the job's.

    Args:
        cause: What the ledger said.
        before: How often that has happened to the job in a row.
    """
    # Only our own errors are known to hold nothing of a payload.
    said = str(cause) if isinstance(cause, LedgerError) else type(cause).__name__
    reason = f"{REFUSED}: {said}"[:_REASON_CHARS]
    if before + 1 >= MAX_REFUSALS:
        return Conclusion(HOLD, error=ErrorRecord.of(cause), reason=reason)
    return Conclusion(RELEASE, delay=_growing(before), reason=reason)


def unknown(claim: Claim) -> Conclusion:
    """Conclude an attempt on a worker that does not know the job, or cannot run it.

    A worker that is deployed later will: as a newer payload does, it waits however often it is
    given back, and neither fails nor is held for the order in which programs are deployed.
    """
    return Conclusion(RELEASE, delay=_growing(claim.releases), reason=UNKNOWN_JOB)


def too_old(claim: Claim, version: int) -> Conclusion:
    """Conclude an attempt on a worker whose definition is older than the job's payload.

    A newer worker will run it: however often it is given back, it neither fails nor is held.
    """
    reason = f"payload version {claim.version}, this worker knows {version}"
    return Conclusion(RELEASE, delay=_growing(claim.releases), reason=reason)


def _growing(times: int) -> timedelta:
    doublings: int = 1 << min(times, 10)
    return min(UNKNOWN_JOB_DELAY * doublings, LONGEST_DELAY)
