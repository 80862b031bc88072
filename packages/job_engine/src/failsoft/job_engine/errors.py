"""Every error Failsoft raises, in one tree.

    FailsoftError
      ConfigurationError             a setting is wrong
      DefinitionError                a job is declared wrongly; raised at import
        UnknownQueueError
        DuplicateJobError
        MissingHandlerError
      DispatchError                  refused; nothing was stored
        UnknownJobError
        JobIdInvalidError
        OptionInvalidError
        PayloadInvalidError
        PayloadTooLargeError
        IdempotencyConflictError
        DuplicateDispatchError
      EngineError                    what became of an offer; named by what the caller may do
        EngineUnavailableError       never reached: try the next engine
        OfferRefusedError            reached, and it said no: try the next engine
          EngineRefusedError         to every offer, whatever its queue
        OfferUncertainError          may have arrived: only a new epoch makes the next engine safe
      LedgerError
        LedgerUnavailableError       the database did not answer: nothing was accepted
          LedgerForkedError          this process has no locks of its own on a SQLite ledger
        LedgerSchemaError            the schema is older or newer than this code
        LedgerHostError              a SQLite ledger was opened from a second host
        NotFoundError                it answered: there is nothing of that name
          JobNotFoundError
          ScheduleNotFoundError
          GroupNotFoundError
      JobStateError                  the job is not in a state that allows the operation
        UniqueKeyHeldError           another job holds the unique key that the retry would have
      MessageRejectedError           a message that is not ours: dropped and counted
      StepError                      a step was used wrongly, or the code changed under the job
        NonDeterministicJobError
        ResultInvalidError
        TransactionUnsupportedError  a `tx` step on a ledger that is no SQL database
        EventTimeoutError            no event came in time
        InvokeDepthError             jobs invoke one another too deeply
        StepTimeoutError             one try of a step took longer than its timeout
      AttemptTimeoutError            the attempt ran longer than its definition allows
      JobCrashedError                the process that ran the attempt died
      JobFailedError                 raised by JobHandle.result for a failed job
      JobCancelledError              raised by JobHandle.result for a cancelled job
        JobExpiredError              the job was not begun by the moment it expired at
      ResultTimeoutError             raised by JobHandle.result when the time is up
      NonRetryableError              raised by a job: do not try again
      RetryAfterError                raised by a job: try again after a given time

Every message says what was expected, what was got and what to do. A class's docstring
is its message where the raising code has nothing to add.
"""

from datetime import timedelta
from typing import Any, ClassVar

from failsoft.job_engine.error_codes import CODES
from failsoft.job_engine.validation import Expect


class FailsoftError(Exception):
    """Something went wrong in Failsoft.

    Attributes:
        code: What `docs/reference/errors.md` has its entry under, as `FS-014`; never renumbered.
    """

    code: ClassVar[str] = CODES[f"{__name__}.FailsoftError"]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = CODES.get(f"{cls.__module__}.{cls.__qualname__}", cls.code)

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class ConfigurationError(FailsoftError):
    """A setting is missing or wrong; run `failsoft doctor` to see which."""


class DefinitionError(FailsoftError):
    """A job is declared wrongly."""


class UnknownQueueError(DefinitionError):
    """The definition names a queue that was never declared."""


class DuplicateJobError(DefinitionError):
    """Two jobs carry the same name; rename one of them."""


class MissingHandlerError(DefinitionError):
    """A declared job has no handler here; import the module that binds it."""


class DispatchError(FailsoftError):
    """The dispatch was refused and nothing was stored."""


class UnknownJobError(DispatchError):
    """No job of that name is declared."""


class JobIdInvalidError(DispatchError):
    """A job id is 1 to 64 letters, digits, `_` or `-`."""


class OptionInvalidError(DispatchError):
    """A dispatch option is out of its range."""


class PayloadInvalidError(DispatchError):
    """The payload does not fit the job's payload model."""


class PayloadTooLargeError(DispatchError):
    """The payload is over the size limit; store it elsewhere and dispatch a reference to it."""


class IdempotencyConflictError(DispatchError):
    """The idempotency key was used before with another payload."""


class DuplicateDispatchError(DispatchError):
    """A job with this idempotency key exists already."""


class EngineError(FailsoftError):
    """An engine did not take an offer."""


class EngineUnavailableError(EngineError):
    """The engine was never reached; the next one may be tried."""


class OfferRefusedError(EngineError):
    """The engine was reached and refused the offer; the next one may be tried."""


class EngineRefusedError(OfferRefusedError):
    """The engine was reached and refuses every offer, whatever its queue."""


class OfferUncertainError(EngineError):
    """The offer may have arrived; only a newer epoch makes another engine safe (rule 16)."""


class LedgerError(FailsoftError):
    """The ledger could not carry out a call."""


class LedgerUnavailableError(LedgerError):
    """The ledger's database did not answer; nothing was accepted. Check FAILSOFT_LEDGER_URL."""


class LedgerSchemaError(LedgerError):
    """The ledger's schema does not fit this code; run `failsoft ledger upgrade`."""


class LedgerForkedError(LedgerUnavailableError):
    """This process has no locks of its own on a SQLite ledger; fork earlier, or spawn."""


class NamespaceTakenError(ConfigurationError):
    """A broker's namespace belongs to another ledger, whose messages this one would take."""


class LedgerHostError(LedgerError):
    """A SQLite ledger serves one host; use PostgreSQL where there are more."""


class NotFoundError(LedgerError):
    """The ledger holds nothing of that name."""


class JobNotFoundError(NotFoundError):
    """The ledger holds no job of that id."""


class JobIdAmbiguousError(JobNotFoundError):
    """The ids of several jobs begin so; write more of the one that is meant."""


def is_trouble(error: BaseException) -> bool:
    """Return whether an error says that the ledger is away, or refuses any call."""
    return isinstance(error, LedgerError) and not isinstance(error, NotFoundError)


class JobPrunedError(JobNotFoundError):
    """The job has ended and was pruned; its result and its error are gone."""


class JobDeferredError(FailsoftError):
    """Expected room under the limits of a job, got none; it waits for its turn."""


class JobStateError(FailsoftError):
    """The job is not in a state that allows that; nothing was changed."""


class UniqueKeyHeldError(JobStateError):
    """Another job holds the unique key of the work that is to be done again.

    Attributes:
        job_id: The job that ended.
        holder_id: The job that holds the key and is not over.
    """

    def __init__(self, job_id: str, holder_id: str, state: str) -> None:
        super().__init__(
            f"expected a free unique key to retry job {job_id}, got one that job {holder_id} "
            f"holds, which is {state}; wait until that job has ended, or cancel it"
        )
        self.job_id = job_id
        self.holder_id = holder_id


class GroupNotFoundError(NotFoundError):
    """The ledger holds no group of that id."""


class ScheduleNotFoundError(NotFoundError):
    """The ledger holds no schedule of that name."""


class MessageRejectedError(FailsoftError):
    """The message is not one of ours."""


class StepError(FailsoftError):
    """A step was used wrongly."""


class NonDeterministicJobError(StepError):
    """The job's steps are not those it recorded; deploy the old code or resolve it by hand."""


class StepInDoubtError(StepError):
    """A `once` step was begun and may have taken effect; find out, and resolve the job by hand."""


class ResultInvalidError(StepError):
    """A step or a job returned what JSON cannot carry, or more than the limit."""


class TransactionUnsupportedError(StepError):
    """A `tx` step needs a SQL ledger, SQLite or PostgreSQL, to share its transaction with."""


class EventTimeoutError(StepError):
    """The event that the job waited for did not come in time."""


class InvokeDepthError(StepError):
    """Jobs that invoke one another go no deeper; they may go round in a circle."""


class StepTimeoutError(StepError):
    """One try of a step took longer than its timeout; an error of the step like any other."""


class AttemptTimeoutError(FailsoftError):
    """The attempt ran longer than its timeout."""


class JobCrashedError(FailsoftError):
    """The process that ran the attempt died."""


class JobFailedError(FailsoftError):
    """The job failed for good.

    Attributes:
        job_id: The job that failed.
        error_type: The class name of the recorded exception.
        traceback: The recorded traceback as text, without local values.
    """

    def __init__(self, job_id: str, error_type: str, message: str, traceback: str) -> None:
        super().__init__(f"job {job_id} failed with {error_type}: {message}")
        self.job_id = job_id
        self.error_type = error_type
        self.traceback = traceback


class JobCancelledError(FailsoftError):
    """The job was cancelled and has no result."""


class JobExpiredError(JobCancelledError):
    """The job was not begun by the moment it expired at, and is not wanted any more."""


class ResultTimeoutError(FailsoftError):
    """The job did not end in time; it goes on; call again later."""


class NonRetryableError(FailsoftError):
    """The job is not to be tried again."""


class RetryAfterError(FailsoftError):
    """The job is to be tried again after `delay`.

    Attributes:
        delay: How long to wait before the next attempt.
    """

    def __init__(self, delay: timedelta, message: str | None = None) -> None:
        Expect(StepError, "RetryAfterError: ").span("a delay", delay, zero=True)
        super().__init__(message or f"try again after {delay}")
        self.delay = delay
