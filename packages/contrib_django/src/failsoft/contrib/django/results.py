"""A job of the ledger as Django shows the result of a task."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from failsoft.api import AttemptRecord, JobCancelledError, JobRecord, JobState
from failsoft.contrib.django.compat import AnyResult, AnyTask, TaskError, TaskResultStatus
from failsoft.contrib.django.definition import TaskCall, task_of
from failsoft.job_engine.records.error_record import ErrorRecord

#: A held job is not over: a person decides about it.
_STATUS = {
    JobState.SCHEDULED: TaskResultStatus.READY,
    JobState.OFFERED: TaskResultStatus.READY,
    JobState.RUNNING: TaskResultStatus.RUNNING,
    JobState.HELD: TaskResultStatus.RUNNING,
    JobState.SUCCEEDED: TaskResultStatus.SUCCESSFUL,
    JobState.FAILED: TaskResultStatus.FAILED,
    JobState.CANCELLED: TaskResultStatus.FAILED,
}


def new_result(
    task: AnyTask, call: TaskCall, job_id: str, enqueued_at: datetime | None
) -> AnyResult:
    """Return the result of a task that no worker has begun.

    Args:
        task: The task.
        call: What it is called with.
        job_id: The job's id.
        enqueued_at: When it was recorded; None before the commit that it waits for.
    """
    return AnyResult(
        task=task,
        id=job_id,
        status=TaskResultStatus.READY,
        enqueued_at=enqueued_at,
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=call.args,
        kwargs=call.kwargs,
        backend=call.backend,
        errors=[],
        worker_ids=[],
    )


def result_of(job: JobRecord, attempts: Sequence[AttemptRecord]) -> AnyResult:
    """Return the result of a task by its job and the job's attempts.

    Raises:
        MissingHandlerError: The task cannot be imported here.
    """
    call = TaskCall.model_validate_json(job.payload)
    result = AnyResult(
        task=_as_enqueued(task_of(call), job),
        id=job.id,
        status=_STATUS[job.state],
        enqueued_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=attempts[-1].started_at if attempts else None,
        args=call.args,
        kwargs=call.kwargs,
        backend=call.backend,
        errors=_errors(job, attempts),
        worker_ids=[f"{each.engine}:{each.worker}" for each in attempts],
    )
    if job.state is JobState.SUCCEEDED:
        set_return_value(result, json.loads(job.result or "null"))
    return result


def set_id(result: AnyResult, job_id: str) -> None:
    """Set the id of the job that is there, where another one holds what makes a task unique."""
    # A result is frozen, and the caller has it since before the commit.
    object.__setattr__(result, "id", job_id)


def set_return_value(result: AnyResult, value: Any) -> None:
    """Set what a task returned."""
    # A result is frozen, and has no other way to be told.
    object.__setattr__(result, "_return_value", value)


def error_of(error: ErrorRecord) -> TaskError:
    """Return an error of the ledger's as Django shows it."""
    path = error.type if "." in error.type else f"builtins.{error.type}"
    return TaskError(exception_class_path=path, traceback=error.traceback or error.message)


def _as_enqueued(task: AnyTask, job: JobRecord) -> AnyTask:
    # Later `run_at` is when the job is tried again.
    is_deferred = job.state is JobState.SCHEDULED and job.epoch == 0
    return task.using(
        priority=job.priority, queue_name=job.queue, run_after=job.run_at if is_deferred else None
    )


def _errors(job: JobRecord, attempts: Sequence[AttemptRecord]) -> list[TaskError]:
    found = [each.error for each in attempts if each.error is not None]
    is_shown = job.error is None or any(each == job.error for each in found)
    if job.state in (JobState.FAILED, JobState.HELD) and job.error and not is_shown:
        found.append(job.error)
    if job.state is JobState.CANCELLED:
        found.append(job.error or ErrorRecord.of(JobCancelledError()))
    return [error_of(each) for each in found]
