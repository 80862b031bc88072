"""The one way in: what a program that declares and dispatches jobs imports.

The modules behind it may move; these names stay. Beside it are `failsoft.testkit` (for
the tests of a program), `failsoft.testing` (the suites for a ledger or an engine of your own) and
the jobs that ship with the project, `failsoft.job_engine.jobs`.

Declaring jobs:
    `job` and `declare_job` make a `JobDefinition`; `JobContext` or `AsyncJobContext` runs its
    steps. `Branch` is a step beside others, `SecretText` a value that is never shown, and
    `NOT_DONE` (a `NotDone`) is what `verify` of a `once` step returns.

Policies:
    `RetryPolicy`; `Concurrency` and `RateLimit`; `Unique`, `Debounce` and `Throttle`; `Cron` and
    `Every`; `Retention`. `declare_queue` declares a `QueueProfile`.

Dispatching:
    `dispatch_job`, `dispatch_job_async`, `dispatch_many` (`DispatchRequest`, `Many`,
    `DispatchOutcome`), `dispatch_chain` and `dispatch_group` (of `Link`s), with
    `DispatchOptions`; `session=` puts a dispatch into the caller's transaction, which a
    `BorrowedConnection` has where there is no SQLAlchemy. `send_event` wakes jobs that wait. All
    use the `default_dispatcher`, which `use_dispatcher` replaces and `opened_dispatcher` returns
    if it is in use; a `Dispatcher` also pauses, retries, and holds the `Schedules`; a
    `ShardedDispatcher` does so over several ledgers. The methods of an `AsyncDispatcher` are
    awaited.

What became of it:
    `JobHandle`, `AsyncJobHandle`, `ChainHandle`, `GroupHandle`. They return a `JobState`, a
    `JobRecord`, `Progress`, a `CancelOutcome`, each `DispatchTry` and `AttemptRecord`, a
    `LimitUse`, a `Pause`, a `GroupRecord`; retrying many a `RetryReport`, schedules a
    `ScheduleRecord`. `JobFailure` and `GroupResult` are the payloads of jobs that follow others.

Errors:
    Every class of `failsoft.job_engine.errors`, whose docstring shows the tree. All are
    `FailsoftError`s: a dispatch raises `DispatchError` or `LedgerError`, a result `JobFailedError`,
    `JobCancelledError` or `ResultTimeoutError`, a declaration `DefinitionError`. A job raises
    `NonRetryableError` or `RetryAfterError`.
"""

from typing import TYPE_CHECKING

from failsoft.job_engine.lazy_names import lazily_from

if TYPE_CHECKING:
    from failsoft.dispatcher import (
        AsyncDispatcher,
        AsyncJobHandle,
        ChainHandle,
        Dispatcher,
        DispatchOptions,
        DispatchOutcome,
        DispatchRequest,
        GroupHandle,
        JobHandle,
        Many,
        Schedules,
        ShardedDispatcher,
        default_dispatcher,
        dispatch_chain,
        dispatch_group,
        dispatch_job,
        dispatch_job_async,
        dispatch_many,
        opened_dispatcher,
        send_event,
        use_dispatcher,
    )
    from failsoft.dispatcher.handles.retry import RetryReport
    from failsoft.job_engine import (
        NOT_DONE,
        AsyncJobContext,
        Branch,
        Concurrency,
        Cron,
        Debounce,
        Every,
        GroupRecord,
        GroupResult,
        JobContext,
        JobDefinition,
        JobFailure,
        JobState,
        Link,
        NotDone,
        Progress,
        QueueProfile,
        RateLimit,
        Retention,
        RetryPolicy,
        SecretText,
        Throttle,
        Unique,
        declare_job,
        declare_queue,
        job,
    )
    from failsoft.job_engine.errors import (
        AttemptTimeoutError,
        ConfigurationError,
        DefinitionError,
        DispatchError,
        DuplicateDispatchError,
        DuplicateJobError,
        EngineError,
        EngineRefusedError,
        EngineUnavailableError,
        EventTimeoutError,
        FailsoftError,
        GroupNotFoundError,
        IdempotencyConflictError,
        InvokeDepthError,
        JobCancelledError,
        JobCrashedError,
        JobDeferredError,
        JobExpiredError,
        JobFailedError,
        JobIdAmbiguousError,
        JobIdInvalidError,
        JobNotFoundError,
        JobPrunedError,
        JobStateError,
        LedgerError,
        LedgerForkedError,
        LedgerHostError,
        LedgerSchemaError,
        LedgerUnavailableError,
        MessageRejectedError,
        MissingHandlerError,
        NamespaceTakenError,
        NonDeterministicJobError,
        NonRetryableError,
        NotFoundError,
        OfferRefusedError,
        OfferUncertainError,
        OptionInvalidError,
        PayloadInvalidError,
        PayloadTooLargeError,
        ResultInvalidError,
        ResultTimeoutError,
        RetryAfterError,
        ScheduleNotFoundError,
        StepError,
        StepInDoubtError,
        StepTimeoutError,
        TransactionUnsupportedError,
        UniqueKeyHeldError,
        UnknownJobError,
        UnknownQueueError,
    )
    from failsoft.job_engine.policies.limits import LimitUse
    from failsoft.job_engine.ports.transactional import BorrowedConnection
    from failsoft.job_engine.records.job import (
        AttemptRecord,
        CancelOutcome,
        DispatchTry,
        JobRecord,
    )
    from failsoft.job_engine.records.pauses import Pause
    from failsoft.job_engine.records.schedules import ScheduleRecord

__all__ = [
    "NOT_DONE",
    "AsyncDispatcher",
    "AsyncJobContext",
    "AsyncJobHandle",
    "AttemptRecord",
    "AttemptTimeoutError",
    "BorrowedConnection",
    "Branch",
    "CancelOutcome",
    "ChainHandle",
    "Concurrency",
    "ConfigurationError",
    "Cron",
    "Debounce",
    "DefinitionError",
    "DispatchError",
    "DispatchOptions",
    "DispatchOutcome",
    "DispatchRequest",
    "DispatchTry",
    "Dispatcher",
    "DuplicateDispatchError",
    "DuplicateJobError",
    "EngineError",
    "EngineRefusedError",
    "EngineUnavailableError",
    "EventTimeoutError",
    "Every",
    "FailsoftError",
    "GroupHandle",
    "GroupNotFoundError",
    "GroupRecord",
    "GroupResult",
    "IdempotencyConflictError",
    "InvokeDepthError",
    "JobCancelledError",
    "JobContext",
    "JobCrashedError",
    "JobDeferredError",
    "JobDefinition",
    "JobExpiredError",
    "JobFailedError",
    "JobFailure",
    "JobHandle",
    "JobIdAmbiguousError",
    "JobIdInvalidError",
    "JobNotFoundError",
    "JobPrunedError",
    "JobRecord",
    "JobState",
    "JobStateError",
    "LedgerError",
    "LedgerForkedError",
    "LedgerHostError",
    "LedgerSchemaError",
    "LedgerUnavailableError",
    "LimitUse",
    "Link",
    "Many",
    "MessageRejectedError",
    "MissingHandlerError",
    "NamespaceTakenError",
    "NonDeterministicJobError",
    "NonRetryableError",
    "NotDone",
    "NotFoundError",
    "OfferRefusedError",
    "OfferUncertainError",
    "OptionInvalidError",
    "Pause",
    "PayloadInvalidError",
    "PayloadTooLargeError",
    "Progress",
    "QueueProfile",
    "RateLimit",
    "ResultInvalidError",
    "ResultTimeoutError",
    "Retention",
    "RetryAfterError",
    "RetryPolicy",
    "RetryReport",
    "ScheduleNotFoundError",
    "ScheduleRecord",
    "Schedules",
    "SecretText",
    "ShardedDispatcher",
    "StepError",
    "StepInDoubtError",
    "StepTimeoutError",
    "Throttle",
    "TransactionUnsupportedError",
    "Unique",
    "UniqueKeyHeldError",
    "UnknownJobError",
    "UnknownQueueError",
    "declare_job",
    "declare_queue",
    "default_dispatcher",
    "dispatch_chain",
    "dispatch_group",
    "dispatch_job",
    "dispatch_job_async",
    "dispatch_many",
    "job",
    "opened_dispatcher",
    "send_event",
    "use_dispatcher",
]

if not TYPE_CHECKING:
    # Each is lazy itself, or imports little; the rare ones come last.
    __getattr__ = lazily_from(
        __name__,
        __all__,
        (
            "failsoft.dispatcher",
            "failsoft.job_engine",
            "failsoft.job_engine.errors",
            "failsoft.job_engine.records.job",
            "failsoft.job_engine.records.pauses",
            "failsoft.job_engine.records.schedules",
            "failsoft.job_engine.policies.limits",
            "failsoft.job_engine.ports.transactional",
            "failsoft.dispatcher.handles.retry",
        ),
    )
