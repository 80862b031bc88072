"""`dispatch_job` and what stands behind it: routing, the breaker, the adapters, the rescuer."""

from typing import TYPE_CHECKING

from failsoft.job_engine.lazy_names import lazily

if TYPE_CHECKING:
    from failsoft.dispatcher.async_dispatcher import AsyncDispatcher
    from failsoft.dispatcher.default import (
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
    from failsoft.dispatcher.dispatcher import Dispatcher
    from failsoft.dispatcher.dispatching.bulk import DispatchOutcome, DispatchRequest, Many
    from failsoft.dispatcher.handles.async_job import AsyncJobHandle
    from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
    from failsoft.dispatcher.handles.job import JobHandle
    from failsoft.dispatcher.options.options import DispatchOptions
    from failsoft.dispatcher.schedules import Schedules
    from failsoft.dispatcher.sharded import ShardedDispatcher
else:
    __getattr__ = lazily(
        __name__,
        {
            "failsoft.dispatcher.async_dispatcher": ("AsyncDispatcher",),
            "failsoft.dispatcher.default": (
                "default_dispatcher",
                "dispatch_chain",
                "dispatch_group",
                "dispatch_job",
                "dispatch_job_async",
                "dispatch_many",
                "opened_dispatcher",
                "send_event",
                "use_dispatcher",
            ),
            "failsoft.dispatcher.dispatcher": ("Dispatcher",),
            "failsoft.dispatcher.dispatching.bulk": ("DispatchOutcome", "DispatchRequest", "Many"),
            "failsoft.dispatcher.handles.async_job": ("AsyncJobHandle",),
            "failsoft.dispatcher.handles.flow": ("ChainHandle", "GroupHandle"),
            "failsoft.dispatcher.handles.job": ("JobHandle",),
            "failsoft.dispatcher.options.options": ("DispatchOptions",),
            "failsoft.dispatcher.schedules": ("Schedules",),
            "failsoft.dispatcher.sharded": ("ShardedDispatcher",),
        },
    )


__all__ = [
    "AsyncDispatcher",
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
    "opened_dispatcher",
    "send_event",
    "use_dispatcher",
]
