"""`dispatch_job` and what stands behind it: routing, the breaker, the adapters, the rescuer."""

from understudy.dispatcher.api import (
    default_dispatcher,
    dispatch_chain,
    dispatch_group,
    dispatch_job,
    dispatch_job_async,
    dispatch_many,
    send_event,
    use_dispatcher,
)
from understudy.dispatcher.dispatcher import Dispatcher
from understudy.dispatcher.dispatching.bulk import DispatchOutcome, DispatchRequest, Many
from understudy.dispatcher.handles.async_job import AsyncJobHandle
from understudy.dispatcher.handles.flow import ChainHandle, GroupHandle
from understudy.dispatcher.handles.job import JobHandle
from understudy.dispatcher.options.options import DispatchOptions
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
