"""The core of Understudy: what a job is and how one attempt of it runs; no engine, no database."""

import logging

from understudy.job_engine import posix_only  # noqa: F401 - it is there to be imported first

# isort: split
from understudy.job_engine.async_context import AsyncJobContext
from understudy.job_engine.catalogue import Catalogue
from understudy.job_engine.codec import SecretText
from understudy.job_engine.context import JobContext
from understudy.job_engine.declaring import declare_job, job
from understudy.job_engine.definition import JobDefinition
from understudy.job_engine.doubt import NOT_DONE, NotDone
from understudy.job_engine.errors import (
    NonRetryableError,
    RetryAfterError,
    StepTimeoutError,
    UnderstudyError,
)
from understudy.job_engine.executor import Executor
from understudy.job_engine.failure import JobFailure
from understudy.job_engine.flow import Link
from understudy.job_engine.groups import GroupRecord, GroupResult
from understudy.job_engine.identity import Debounce, Throttle, Unique
from understudy.job_engine.limits import Concurrency, RateLimit
from understudy.job_engine.parallel import Branch
from understudy.job_engine.queues import QueueProfile, declare_queue
from understudy.job_engine.records import Progress
from understudy.job_engine.retention import Retention
from understudy.job_engine.retry import RetryPolicy
from understudy.job_engine.schedule import Cron, Every
from understudy.job_engine.states import JobState

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
