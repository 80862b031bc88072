"""Everything that an engine's plug-in imports of Failsoft.

A plug-in is one distribution with one entry point of the group `failsoft.engines`: an
`EnginePlugin` with the half that offers (`EngineAdapter`, behind a `Caller` that keeps the
deadline) and the half that works (`EngineWorker`). docs/how-to/add-an-engine.md builds one.

The message is small and names a job by its id; the ledger holds the job. So an engine
acknowledges a message when the ledger has decided about its claim, not when the job has ended:
from then on the lease protects the job, and before that the pickup deadline of the offer.
"""

from failsoft.dispatcher.offering.bounded_caller import BoundedCaller, Caller, DirectCaller
from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.plugins.bodies import MAX_BYTES, from_body, to_body
from failsoft.dispatcher.plugins.embedded_process import (
    EmbeddedProcess,
    EmbeddedServerError,
    free_port,
    kept_port,
)
from failsoft.dispatcher.plugins.kill_on_exit import KillOnExit
from failsoft.dispatcher.plugins.link import Link
from failsoft.dispatcher.plugins.plugin import (
    EmbeddedServer,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Process,
    Supported,
    WaitingOffers,
    WorkerPost,
)
from failsoft.dispatcher.plugins.slots import Slots
from failsoft.dispatcher.plugins.urls import begins_with, port_or_default
from failsoft.job_engine.clock import Clock, Deadline, SystemClock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.errors import (
    ConfigurationError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    FailsoftError,
    LedgerUnavailableError,
    MessageRejectedError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.policies.queue import DEFAULT, DEFAULT_NAMESPACE, QueueProfile, queue_name
from failsoft.job_engine.ports.bulk import BulkEngineAdapter
from failsoft.job_engine.ports.engine import (
    AskableEngineAdapter,
    Claiming,
    EngineAdapter,
    EngineHealth,
    OwnedEngineAdapter,
    Owner,
    ReadableEngineAdapter,
    WaitingMessage,
    probed_twice,
)
from failsoft.job_engine.records.message import Message
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
    "AskableEngineAdapter",
    "BoundedCaller",
    "BulkEngineAdapter",
    "Caller",
    "Check",
    "Claiming",
    "Clock",
    "ConfigurationError",
    "Deadline",
    "DirectCaller",
    "EmbeddedProcess",
    "EmbeddedServer",
    "EmbeddedServerError",
    "Engine",
    "EngineAdapter",
    "EngineError",
    "EngineHealth",
    "EnginePlugin",
    "EngineRefusedError",
    "EngineSite",
    "EngineUnavailableError",
    "EngineWorker",
    "FailsoftError",
    "Finding",
    "KillOnExit",
    "LedgerUnavailableError",
    "Link",
    "Message",
    "MessageRejectedError",
    "OfferRefusedError",
    "OfferUncertainError",
    "OwnedEngineAdapter",
    "Owner",
    "Process",
    "QueueProfile",
    "ReadableEngineAdapter",
    "Slots",
    "Supported",
    "SystemClock",
    "WaitingMessage",
    "WaitingOffers",
    "WorkerPost",
    "begins_with",
    "failure",
    "failure_if",
    "fine",
    "free_port",
    "from_body",
    "kept_port",
    "port_or_default",
    "probed_twice",
    "queue_name",
    "reached",
    "redacted",
    "redacted_url",
    "to_body",
    "unreachable",
    "warning",
]
