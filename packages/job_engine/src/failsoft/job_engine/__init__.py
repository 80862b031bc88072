"""The core of Failsoft: what a job is and how one attempt of it runs; no engine, no database."""

import logging

from failsoft.job_engine import platform_check  # noqa: F401 - it is there to be imported first

# isort: split
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
