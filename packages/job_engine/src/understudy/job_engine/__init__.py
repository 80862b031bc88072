"""The core of Understudy: what a job is and how one attempt of it runs; no engine, no database."""

import logging

from understudy.job_engine import platform_check  # noqa: F401 - it is there to be imported first

# isort: split
from understudy.job_engine.definitions.catalogue import Catalogue
from understudy.job_engine.definitions.decorators import declare_job, job
from understudy.job_engine.definitions.definition import JobDefinition
from understudy.job_engine.definitions.links import Link
from understudy.job_engine.errors import (
    NonRetryableError,
    RetryAfterError,
    StepTimeoutError,
    UnderstudyError,
)
from understudy.job_engine.executor import Executor
from understudy.job_engine.policies.limits import Concurrency, RateLimit
from understudy.job_engine.policies.queue import QueueProfile, declare_queue
from understudy.job_engine.policies.retention import Retention
from understudy.job_engine.policies.retry import RetryPolicy
from understudy.job_engine.policies.schedule import Cron, Every
from understudy.job_engine.policies.uniqueness import Debounce, Throttle, Unique
from understudy.job_engine.records.failure import JobFailure
from understudy.job_engine.records.groups import GroupRecord, GroupResult
from understudy.job_engine.records.job import Progress
from understudy.job_engine.records.states import JobState
from understudy.job_engine.steps.async_context import AsyncJobContext
from understudy.job_engine.steps.context import JobContext
from understudy.job_engine.steps.once import NOT_DONE, NotDone
from understudy.job_engine.steps.parallel import Branch
from understudy.job_engine.values.codec import SecretText

# A library prints nothing by itself: what it logs goes where the application sends it.
logging.getLogger("understudy").addHandler(logging.NullHandler())

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
    "UnderstudyError",
    "Unique",
    "declare_job",
    "declare_queue",
    "job",
]
