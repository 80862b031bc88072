"""The core of Failsoft: what a job is and how one attempt of it runs; no engine, no database."""

import logging
from typing import TYPE_CHECKING

from failsoft.job_engine import platform_check  # noqa: F401 - it is there to be imported first

# isort: split
from failsoft.job_engine.lazy_names import lazily

if TYPE_CHECKING:
    from failsoft.job_engine.definitions.catalogue import Catalogue
    from failsoft.job_engine.definitions.decorators import declare_job, job
    from failsoft.job_engine.definitions.definition import JobDefinition
    from failsoft.job_engine.definitions.links import Link
    from failsoft.job_engine.errors import (
        FailsoftError,
        NonRetryableError,
        RetryAfterError,
        StepTimeoutError,
    )
    from failsoft.job_engine.executor import Executor
    from failsoft.job_engine.policies.limits import Concurrency, RateLimit
    from failsoft.job_engine.policies.queue import QueueProfile, declare_queue
    from failsoft.job_engine.policies.retention import Retention
    from failsoft.job_engine.policies.retry import RetryPolicy
    from failsoft.job_engine.policies.schedule import Cron, Every
    from failsoft.job_engine.policies.uniqueness import Debounce, Throttle, Unique
    from failsoft.job_engine.records.failure import JobFailure
    from failsoft.job_engine.records.groups import GroupRecord, GroupResult
    from failsoft.job_engine.records.job import Progress
    from failsoft.job_engine.records.states import JobState
    from failsoft.job_engine.steps.async_context import AsyncJobContext
    from failsoft.job_engine.steps.context import JobContext
    from failsoft.job_engine.steps.once import NOT_DONE, NotDone
    from failsoft.job_engine.steps.parallel import Branch
    from failsoft.job_engine.values.codec import SecretText
else:
    __getattr__ = lazily(
        __name__,
        {
            "failsoft.job_engine.definitions.catalogue": ("Catalogue",),
            "failsoft.job_engine.definitions.decorators": ("declare_job", "job"),
            "failsoft.job_engine.definitions.definition": ("JobDefinition",),
            "failsoft.job_engine.definitions.links": ("Link",),
            "failsoft.job_engine.errors": (
                "FailsoftError",
                "NonRetryableError",
                "RetryAfterError",
                "StepTimeoutError",
            ),
            "failsoft.job_engine.executor": ("Executor",),
            "failsoft.job_engine.policies.limits": ("Concurrency", "RateLimit"),
            "failsoft.job_engine.policies.queue": ("QueueProfile", "declare_queue"),
            "failsoft.job_engine.policies.retention": ("Retention",),
            "failsoft.job_engine.policies.retry": ("RetryPolicy",),
            "failsoft.job_engine.policies.schedule": ("Cron", "Every"),
            "failsoft.job_engine.policies.uniqueness": ("Debounce", "Throttle", "Unique"),
            "failsoft.job_engine.records.failure": ("JobFailure",),
            "failsoft.job_engine.records.groups": ("GroupRecord", "GroupResult"),
            "failsoft.job_engine.records.job": ("Progress",),
            "failsoft.job_engine.records.states": ("JobState",),
            "failsoft.job_engine.steps.async_context": ("AsyncJobContext",),
            "failsoft.job_engine.steps.context": ("JobContext",),
            "failsoft.job_engine.steps.once": ("NOT_DONE", "NotDone"),
            "failsoft.job_engine.steps.parallel": ("Branch",),
            "failsoft.job_engine.values.codec": ("SecretText",),
        },
    )


# A library prints nothing by itself: what it logs goes where the application sends it.
logging.getLogger("failsoft").addHandler(logging.NullHandler())

__all__ = [
    "NOT_DONE",
    "AsyncJobContext",
    "Branch",
    "Catalogue",
    "Concurrency",
    "Cron",
    "Debounce",
    "Every",
    "Executor",
    "FailsoftError",
    "GroupRecord",
    "GroupResult",
    "JobContext",
    "JobDefinition",
    "JobFailure",
    "JobState",
    "Link",
    "NonRetryableError",
    "NotDone",
    "Progress",
    "QueueProfile",
    "RateLimit",
    "Retention",
    "RetryAfterError",
    "RetryPolicy",
    "SecretText",
    "StepTimeoutError",
    "Throttle",
    "Unique",
    "declare_job",
    "declare_queue",
    "job",
]
