"""The codes of Failsoft's errors, by which a message finds its entry in `docs/reference/errors.md`.

A code belongs to one class for good: a new class gets the next number, and the number of a class
that is removed is not given again (`RETIRED`). A class that has none, as one of an application or
of an engine from elsewhere, has that of the class it derives from.
"""

from collections.abc import Mapping
from types import MappingProxyType

_ERRORS = "failsoft.job_engine.errors"
_JOBS = "failsoft.job_engine.jobs"

#: The code of each class, by its module and name, which is how the ledger keeps an error's type.
CODES: Mapping[str, str] = MappingProxyType(
    {
        f"{_ERRORS}.FailsoftError": "FS-001",
        f"{_ERRORS}.ConfigurationError": "FS-002",
        f"{_ERRORS}.DefinitionError": "FS-003",
        f"{_ERRORS}.UnknownQueueError": "FS-004",
        f"{_ERRORS}.DuplicateJobError": "FS-005",
        f"{_ERRORS}.MissingHandlerError": "FS-006",
        f"{_ERRORS}.DispatchError": "FS-007",
        f"{_ERRORS}.UnknownJobError": "FS-008",
        f"{_ERRORS}.JobIdInvalidError": "FS-009",
        f"{_ERRORS}.OptionInvalidError": "FS-010",
        f"{_ERRORS}.PayloadInvalidError": "FS-011",
        f"{_ERRORS}.PayloadTooLargeError": "FS-012",
        f"{_ERRORS}.IdempotencyConflictError": "FS-013",
        f"{_ERRORS}.DuplicateDispatchError": "FS-014",
        f"{_ERRORS}.EngineError": "FS-015",
        f"{_ERRORS}.EngineUnavailableError": "FS-016",
        f"{_ERRORS}.OfferRefusedError": "FS-017",
        f"{_ERRORS}.EngineRefusedError": "FS-018",
        f"{_ERRORS}.OfferUncertainError": "FS-019",
        f"{_ERRORS}.LedgerError": "FS-020",
        f"{_ERRORS}.LedgerUnavailableError": "FS-021",
        f"{_ERRORS}.LedgerSchemaError": "FS-022",
        f"{_ERRORS}.LedgerForkedError": "FS-023",
        f"{_ERRORS}.NamespaceTakenError": "FS-024",
        f"{_ERRORS}.LedgerHostError": "FS-025",
        f"{_ERRORS}.NotFoundError": "FS-026",
        f"{_ERRORS}.JobNotFoundError": "FS-027",
        f"{_ERRORS}.JobIdAmbiguousError": "FS-028",
        f"{_ERRORS}.JobPrunedError": "FS-029",
        f"{_ERRORS}.JobDeferredError": "FS-030",
        f"{_ERRORS}.JobStateError": "FS-031",
        f"{_ERRORS}.UniqueKeyHeldError": "FS-032",
        f"{_ERRORS}.GroupNotFoundError": "FS-033",
        f"{_ERRORS}.ScheduleNotFoundError": "FS-034",
        f"{_ERRORS}.MessageRejectedError": "FS-035",
        f"{_ERRORS}.StepError": "FS-036",
        f"{_ERRORS}.NonDeterministicJobError": "FS-037",
        f"{_ERRORS}.StepInDoubtError": "FS-038",
        f"{_ERRORS}.ResultInvalidError": "FS-039",
        f"{_ERRORS}.TransactionUnsupportedError": "FS-040",
        f"{_ERRORS}.EventTimeoutError": "FS-041",
        f"{_ERRORS}.InvokeDepthError": "FS-042",
        f"{_ERRORS}.StepTimeoutError": "FS-043",
        f"{_ERRORS}.AttemptTimeoutError": "FS-044",
        f"{_ERRORS}.JobCrashedError": "FS-045",
        f"{_ERRORS}.JobFailedError": "FS-046",
        f"{_ERRORS}.JobCancelledError": "FS-047",
        f"{_ERRORS}.JobExpiredError": "FS-048",
        f"{_ERRORS}.ResultTimeoutError": "FS-049",
        f"{_ERRORS}.NonRetryableError": "FS-050",
        f"{_ERRORS}.RetryAfterError": "FS-051",
        f"{_JOBS}.http_replies.PeerUnavailableError": "FS-052",
        f"{_JOBS}.public_http.ForbiddenAddressError": "FS-053",
        f"{_JOBS}.smtp.MailServerUnavailableError": "FS-054",
        f"{_JOBS}.data_sync.csv_folder.SourceUnavailableError": "FS-055",
        f"{_JOBS}.data_sync.table_sink.TablesUnavailableError": "FS-056",
        f"{_JOBS}.notifications.send_notification.NotSentError": "FS-057",
        "failsoft.dispatcher.plugins.embedded_process.EmbeddedServerError": "FS-058",
        "failsoft.contrib.django.definition.RefusedTaskError": "FS-059",
        "failsoft.worker.dev.site.DevRunsAlreadyError": "FS-060",
        "failsoft.worker.cli.engine_kit.conformance.ConformanceError": "FS-061",
        "failsoft.worker.demo.environment.environment.DemoError": "FS-062",
        "failsoft.job_engine.definitions.callables.CallableRefusedError": "FS-063",
        "failsoft.adoption.celery.task.RetryRequestedError": "FS-064",
    }
)

#: The codes of classes that are no more.
RETIRED: frozenset[str] = frozenset()
