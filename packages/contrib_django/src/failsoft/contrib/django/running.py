"""Running a task in a worker."""

from dataclasses import replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from failsoft.api import JobContext, JobDefinition
from failsoft.contrib.django.backend import FailsoftBackend
from failsoft.contrib.django.compat import (
    AnyContext,
    AnyResult,
    AnyTask,
    TaskResultStatus,
    as_json,
    task_backends,
    task_finished,
    task_started,
)
from failsoft.contrib.django.definition import RefusedTaskError, TaskCall, declared_task, task_of
from failsoft.contrib.django.results import error_of, result_of, set_return_value
from failsoft.contrib.django.steps import StepContext
from failsoft.contrib.django.task_type import FailsoftTask
from failsoft.dispatcher import default_dispatcher
from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.records.error_record import ErrorRecord


class TaskDefinition(JobDefinition[TaskCall, Any]):
    """The definition of the job; for one job it has the policies of the task that it names."""

    def for_payload(self, payload: str) -> "JobDefinition[TaskCall, Any]":
        """Return the definition with the retries and the timeout of a job's task."""
        try:
            call = TaskCall.model_validate_json(payload)
            task, options = FailsoftTask.of(task_of(call)), _backend_of(call).failsoft_options
        except Exception:  # noqa: BLE001 - a module may raise anything; the attempt raises it again
            return self
        retry, timeout = task.retry or options.retry, task.timeout or options.timeout
        return replace(self, retry=retry, timeout=timeout)


def run_task(call: TaskCall, ctx: JobContext) -> Any:
    """Call the task that a job is of.

    Raises:
        MissingHandlerError: There is nothing of its name, perhaps not yet.
        RefusedTaskError: What is there is no task of a `FailsoftBackend`.
    """
    backend, task = _backend_of(call), task_of(call)
    handle = default_dispatcher().handle(declared_task, ctx.job_id)
    result = result_of(handle.dispatched, handle.attempts())
    task_started.send(type(backend), task_result=result)
    try:
        value = as_json(_called(task, call, result, ctx))
    except Interrupt:
        raise
    except BaseException as error:
        if _is_last(backend, task, handle.dispatched.errors + 1, error):
            _end(result, TaskResultStatus.FAILED)
            result.errors.append(error_of(ErrorRecord.of(error)))
            task_finished.send(type(backend), task_result=result)
        raise
    _end(result, TaskResultStatus.SUCCESSFUL)
    set_return_value(result, value)
    task_finished.send(type(backend), task_result=result)
    return value


#: The job with its code, as a worker runs it.
django_task: JobDefinition[TaskCall, Any] = TaskDefinition(
    declared_task.name,
    declared_task.payload_type,
    declared_task.result_type,
    declared_task.queue,
    retry=declared_task.retry,
    handler=run_task,
)


def _backend_of(call: TaskCall) -> FailsoftBackend:
    try:
        found = task_backends[call.backend]
    except ImproperlyConfigured as error:
        raise RefusedTaskError(str(error)) from error
    if not isinstance(found, FailsoftBackend):
        raise RefusedTaskError(
            f"expected TASKS[{call.backend!r}] to have a FailsoftBackend, got a "
            f"{type(found).__name__}"
        )
    return found


def _called(task: AnyTask, call: TaskCall, result: AnyResult, ctx: JobContext) -> Any:
    if not task.takes_context:
        return task.call(*call.args, **call.kwargs)
    if FailsoftTask.of(task).steps:
        return task.call(StepContext(task_result=result, job=ctx), *call.args, **call.kwargs)
    return task.call(AnyContext(task_result=result), *call.args, **call.kwargs)


def _is_last(backend: FailsoftBackend, task: AnyTask, failed: int, error: BaseException) -> bool:
    policy = FailsoftTask.of(task).retry or backend.failsoft_options.retry
    return policy.delay(failed, error if isinstance(error, Exception) else RuntimeError()) is None


def _end(result: AnyResult, status: TaskResultStatus) -> None:
    object.__setattr__(result, "status", status)
