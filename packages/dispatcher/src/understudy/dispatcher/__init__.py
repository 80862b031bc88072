"""`dispatch_job` and what stands behind it: routing, the breaker, the adapters, the rescuer."""

from understudy.dispatcher.asynchronous import AsyncJobHandle, dispatch_job_async
from understudy.dispatcher.default import (
    default_dispatcher,
    dispatch_chain,
    dispatch_group,
    dispatch_job,
    dispatch_many,
    send_event,
    use_dispatcher,
)
from understudy.dispatcher.dispatcher import Dispatcher
from understudy.dispatcher.flow_handles import ChainHandle, GroupHandle
from understudy.dispatcher.handle import JobHandle
from understudy.dispatcher.many import DispatchOutcome, DispatchRequest, Many
from understudy.dispatcher.options import DispatchOptions
from understudy.dispatcher.schedules import Schedules

__all__ = [
    "AsyncJobHandle",
    "ChainHandle",
    "DispatchOptions",
    "DispatchOutcome",
    "DispatchRequest",
    "Dispatcher",
    "GroupHandle",
    "JobHandle",
    "Many",
    "Schedules",
    "default_dispatcher",
    "dispatch_chain",
    "dispatch_group",
    "dispatch_job",
    "dispatch_job_async",
    "dispatch_many",
    "send_event",
    "use_dispatcher",
]
