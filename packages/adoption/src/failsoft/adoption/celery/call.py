"""The one job that every task of Celery's is dispatched as, and the one after it has failed."""

from typing import Any

from pydantic import BaseModel, JsonValue

from failsoft.adoption.definition import ONCE, CallDefinition, Policies
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.records.failure import JobFailure
from failsoft.job_engine.records.groups import GroupResult


class Follower(BaseModel):  # type: ignore[no-redef]  # pydantic's plug-in has a `kwargs`, too
    """A task that is called when another one has ended, as Celery's `link` and `link_error`.

    Attributes:
        name: Its name.
        args: Its arguments, behind what it is told of the other one.
        kwargs: Its keyword arguments.
        immutable: Whether it is told nothing.
        queue: The name of its declared queue; where it runs as a job.
    """

    name: str
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]
    immutable: bool
    queue: str


class TaskCall(BaseModel):  # type: ignore[no-redef]  # see above
    """A task and what it is called with.

    Attributes:
        name: The task's name.
        args: Its arguments.
        kwargs: Its keyword arguments.
        timeout: The longest an attempt may run, in seconds; the queue's timeout where None.
        ignore_result: Whether a result that is no JSON is dropped.
        links: The tasks that are called when it has succeeded.
        errbacks: The tasks that are called when it has failed for good.
        takes_result: Whether `result_before` is its first argument.
        result_before: What the task before it in a chain returned.
        header: The tasks of the chord whose results are its first argument.
    """

    name: str
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]
    timeout: float | None = None
    ignore_result: bool = False
    links: list[Follower] = []
    errbacks: list[Follower] = []
    takes_result: bool = False
    result_before: JsonValue = None
    header: GroupResult | None = None


#: The job without its code, as it is dispatched. Only a worker has the tasks, and their policies.
celery_task: CallDefinition[TaskCall] = CallDefinition(
    "celery_task",
    TaskCall,
    Any,
    queue_profile("default"),
    retry=ONCE,
    policies=lambda call: Policies(ONCE, None),
)

#: The job that calls the tasks of `link_error` after one has failed.
celery_failure_callback: JobDefinition[JobFailure, None] = declare_job(
    "celery_failure_callback", payload=JobFailure
)
