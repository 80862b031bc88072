"""`dispatch_job` and what stands behind it: routing, the breaker, the adapters, the rescuer."""

from failsoft.dispatcher.default import (
    default_dispatcher,
    dispatch_chain,
    dispatch_group,
    dispatch_job,
    dispatch_job_async,
    dispatch_many,
    send_event,
    use_dispatcher,
)
from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.dispatching.bulk import DispatchOutcome, DispatchRequest, Many
from failsoft.dispatcher.handles.async_job import AsyncJobHandle
from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.dispatcher.schedules import Schedules
from failsoft.dispatcher.sharded import ShardedDispatcher

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
    "ShardedDispatcher",
    "default_dispatcher",
    "dispatch_chain",
    "dispatch_group",
    "dispatch_job",
    "dispatch_job_async",
    "dispatch_many",
    "send_event",
    "use_dispatcher",
]
