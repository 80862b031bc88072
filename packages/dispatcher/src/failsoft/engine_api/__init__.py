"""Everything that an engine's plug-in imports of Failsoft.

A plug-in is one distribution with one entry point of the group `failsoft.engines`: an
`EnginePlugin` with the half that offers (`EngineAdapter`, behind a `Caller` that keeps the
deadline) and the half that works (`EngineWorker`). docs/how-to/add-an-engine.md builds one.

The message is small and names a job by its id; the ledger holds the job. So an engine
acknowledges a message when the ledger has decided about its claim, not when the job has ended:
from then on the lease protects the job, and before that the pickup deadline of the offer.
"""

from failsoft.dispatcher.default import dispatch_job
from failsoft.dispatcher.dispatching.bulk import DispatchOutcome, DispatchRequest
from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, Caller, DirectCaller
from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.dispatcher.plugins.bodies import MAX_BYTES, from_body, to_body
from failsoft.dispatcher.plugins.bridge import BridgePost, DispatchMany, EngineBridge
from failsoft.dispatcher.plugins.embedded_process import (
    EmbeddedProcess,
    EmbeddedServerError,
    free_port,
    kept_port,
)
from failsoft.dispatcher.plugins.kill_on_exit import KillOnExit
from failsoft.dispatcher.plugins.link import Link
from failsoft.dispatcher.plugins.outbox_relay import OutboxRelay
from failsoft.dispatcher.plugins.plugin import (
    Begin,
    Delivery,
    EmbeddedServer,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Process,
    Supported,
    WaitingOffers,
    WorkerPost,
)
from failsoft.dispatcher.plugins.slots import Slots, Submission
from failsoft.dispatcher.plugins.urls import begins_with, port_or_default
from failsoft.job_engine.clock import Clock, Deadline, SystemClock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.definitions.importing import ship
from failsoft.job_engine.errors import (
    ConfigurationError,
    DefinitionError,
    DispatchError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    FailsoftError,
    LedgerError,
    LedgerUnavailableError,
    MessageRejectedError,
    NonRetryableError,
    OfferRefusedError,
    OfferUncertainError,
    StepError,
)
from failsoft.job_engine.outbox import OutboxEntry, OutboxLedger, OutboxRecord, put_in_outbox
from failsoft.job_engine.policies.queue import DEFAULT, DEFAULT_NAMESPACE, QueueProfile, queue_name
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.ports.bulk import BulkEngineAdapter
from failsoft.job_engine.ports.engine import (
    AskableEngineAdapter,
    Claiming,
    EngineAdapter,
    EngineHealth,
    OwnedEngineAdapter,
    Owner,
    PunctualEngineAdapter,
    ReadableEngineAdapter,
    WaitingMessage,
    probed_twice,
)
from failsoft.job_engine.ports.offered import OfferWatch
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.findings import (
    Check,
    Finding,
    failure,
    failure_if,
    fine,
    unreachable,
    warning,
)
from failsoft.job_engine.values.redaction import redacted, redacted_url

__all__ = [
    "DEFAULT",
    "DEFAULT_NAMESPACE",
    "MAX_BYTES",
    "AnyDefinition",
    "AskableEngineAdapter",
    "Begin",
    "BoundedCaller",
    "BridgePost",
    "BulkEngineAdapter",
    "Caller",
    "Check",
    "Claiming",
    "Clock",
    "ConfigurationError",
    "Deadline",
    "DefinitionError",
    "Delivery",
    "DirectCaller",
    "DispatchError",
    "DispatchMany",
    "DispatchOptions",
    "DispatchOutcome",
    "DispatchRequest",
    "EmbeddedProcess",
    "EmbeddedServer",
    "EmbeddedServerError",
    "Engine",
    "EngineAdapter",
    "EngineBridge",
    "EngineError",
    "EngineHealth",
    "EnginePlugin",
    "EngineRefusedError",
    "EngineSite",
    "EngineUnavailableError",
    "EngineWorker",
    "Expect",
    "FailsoftError",
    "Finding",
    "JobContext",
    "JobDefinition",
    "KillOnExit",
    "LedgerError",
    "LedgerUnavailableError",
    "Link",
    "Message",
    "MessageRejectedError",
    "NonRetryableError",
    "OfferRefusedError",
    "OfferUncertainError",
    "OfferWatch",
    "OutboxEntry",
    "OutboxLedger",
    "OutboxRecord",
    "OutboxRelay",
    "OwnedEngineAdapter",
    "Owner",
    "Process",
    "PunctualEngineAdapter",
    "QueueProfile",
    "ReadableEngineAdapter",
    "Retention",
    "Slots",
    "StepError",
    "Submission",
    "Supported",
    "SystemClock",
    "WaitingMessage",
    "WaitingOffers",
    "WorkerPost",
    "begins_with",
    "declare_job",
    "dispatch_job",
    "failure",
    "failure_if",
    "fine",
    "free_port",
    "from_body",
    "kept_port",
    "port_or_default",
    "probed_twice",
    "put_in_outbox",
    "queue_name",
    "reached",
    "redacted",
    "redacted_url",
    "ship",
    "to_body",
    "unreachable",
    "warning",
]
