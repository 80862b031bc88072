"""`dispatch_job` and what stands behind it: routing, the breaker, the adapters, the rescuer."""

from understudy.dispatcher.asynchronous import AsyncJobHandle, dispatch_job_async
from understudy.dispatcher.default import (
    default_dispatcher,
    dispatch_chain,
    dispatch_group,
    dispatch_job,
    use_dispatcher,
)
from understudy.dispatcher.dispatcher import Dispatcher
from understudy.dispatcher.flow_handles import ChainHandle, GroupHandle
from understudy.dispatcher.handle import JobHandle
from understudy.dispatcher.options import DispatchOptions
from understudy.dispatcher.schedules import Schedules

__all__ = [
    "AsyncJobHandle",
    "ChainHandle",
    "DispatchOptions",
    "Dispatcher",
    "GroupHandle",
    "JobHandle",
    "Schedules",
    "default_dispatcher",
    "dispatch_chain",
    "dispatch_group",
    "dispatch_job",
    "dispatch_job_async",
    "use_dispatcher",
]
