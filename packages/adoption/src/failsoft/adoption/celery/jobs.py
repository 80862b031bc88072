"""The job module of workers: it has the tasks of the program's Celery app.

It imports the modules of `FAILSOFT_CALLABLES`, which declare them, when a worker starts.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import states
from celery._state import _get_active_apps, _task_stack  # the apps; what `current_task` reads
from celery.app.task import Context
from celery.exceptions import Ignore
from pydantic import JsonValue

from failsoft.adoption.celery.call import Follower, TaskCall
from failsoft.adoption.celery.call import celery_failure_callback as declared_callback
from failsoft.adoption.celery.call import celery_task as declared_task
from failsoft.adoption.celery.results import results_of
from failsoft.adoption.celery.task import FailsoftTask, RetryRequestedError
from failsoft.adoption.definition import CallDefinition, Policies, kept
from failsoft.adoption.values import as_result
from failsoft.api import (
    JobContext,
    JobFailure,
    MissingHandlerError,
    OptionInvalidError,
    ResultInvalidError,
    RetryAfterError,
    RetryPolicy,
    default_dispatcher,
)
from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.definitions.callables import (
    SETTING,
    CallableRefusedError,
    Callables,
    allowed_modules,
)
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.policies.retry import MAX_ATTEMPTS

Callables(allowed_modules())


class TaskFailedError(Exception):
    """What a task of `link_error` gets in place of the exception, of which there is the text."""


class OnlyRequestedRetries(RetryPolicy):
    """A task is tried again where it requests that, and fails where it raises anything else."""

    def delay(self, failed_attempts: int, error: Exception) -> timedelta | None:
        """Return how long to wait after the given failure, or None to give up."""
        return error.delay if isinstance(error, RetryAfterError) else None


_RETRY = OnlyRequestedRetries(max_attempts=MAX_ATTEMPTS)


def task_of(name: str) -> FailsoftTask:
    """Return a task by its name.

    Raises:
        MissingHandlerError: No task of that name is declared, perhaps not yet.
        HoldRequested: It is none of a `FailsoftTask`, but one of Celery's own.
    """
    # Not of `current_app`, which is one thread's: attempts run in others than the import.
    all_of_name = [app.tasks[name] for app in _get_active_apps() if name in app.tasks]
    if not all_of_name:
        raise MissingHandlerError(
            f"expected a declared task, got {name!r}; name its module in {SETTING}"
        )
    ours = [each for each in all_of_name if isinstance(each, FailsoftTask)]
    found = ours[0] if ours else all_of_name[0]
    if not isinstance(found, FailsoftTask) or name.startswith("celery."):
        raise HoldRequested(
            CallableRefusedError(
                f"expected a task of an app with task_cls=FailsoftTask, got {name!r}; give its app "
                "that, and start the workers again"
            )
        )
    return found


def task_for_drain(name: str) -> FailsoftTask:
    """Return a task that a message names.

    Raises:
        OptionInvalidError: No such task is declared, or it is none of a `FailsoftTask`.
    """
    try:
        return task_of(name)
    except (MissingHandlerError, HoldRequested) as error:
        raise OptionInvalidError(str(error)) from None


def run_task(call: TaskCall, ctx: JobContext) -> JsonValue:
    """Call the task that a job is of.

    Raises:
        MissingHandlerError: No such task is declared, perhaps not yet.
        HoldRequested: It is none of a `FailsoftTask`, or its result is no JSON.
    """
    return run_call(call, ctx, declared_task)


def run_call(call: TaskCall, ctx: JobContext, job: AnyDefinition) -> JsonValue:
    """Call the task that a job of a definition is of.

    Raises:
        MissingHandlerError: No such task is declared, perhaps not yet.
        HoldRequested: It is none of a `FailsoftTask`, or its result is no JSON.
    """
    task, args = task_of(call.name), _arguments(call)
    errors = default_dispatcher().handle(job, ctx.job_id).dispatched.errors
    with _requested(task, args, call.kwargs, id=ctx.job_id, retries=errors, queue=ctx.queue):
        value = _called(task, args, call.kwargs, ctx.job_id)
    result = _result(value, call)
    for place, each in enumerate(call.links):
        _dispatch(each, [] if each.immutable else [result], f"{ctx.job_id}-link-{place}")
    return result


def run_failure_callback(failure: JobFailure, ctx: JobContext) -> None:
    """Call the tasks of `link_error`, as Celery does: with the request, the error, the traceback.

    One whose function takes a single argument gets the id of the task that failed.
    """
    call = TaskCall.model_validate(failure.payload)
    error = TaskFailedError(f"{failure.error_type}: {failure.error_message}")
    request = Context({"id": failure.job_id, "task": call.name, "args": call.args})
    for each in call.errbacks:
        ctx.run(f"errback-{each.name}", _call_errback, each, request, error)


def _call_errback(errback: Follower, request: Context, error: Exception) -> None:
    task = task_of(errback.name)
    told: list[Any] = []
    if not errback.immutable:
        # By Celery's own rule.
        takes_more = task.backend._errback_arity_greater(task.s(), 1)  # noqa: SLF001
        told = [request, error, None] if takes_more else [request.id]
    task(*told, *errback.args, **errback.kwargs)


def _policies(call: TaskCall) -> Policies:
    timeout = None if call.timeout is None else timedelta(seconds=call.timeout)
    return Policies(_RETRY, timeout)


def _arguments(call: TaskCall) -> list[Any]:
    if call.header is not None:
        return [results_of(call.header.job_ids), *call.args]
    return [call.result_before, *call.args] if call.takes_result else list(call.args)


@contextmanager
def _requested(
    task: FailsoftTask, args: list[Any], kwargs: dict[str, Any], *, queue: str, **request: Any
) -> Iterator[None]:
    """Give a task its `self.request`."""
    _task_stack.push(task)
    task.push_request(
        args=args,
        kwargs=kwargs,
        called_directly=False,
        delivery_info={"routing_key": queue},
        **request,
    )
    try:
        yield
    finally:
        task.pop_request()
        _task_stack.pop()


def _called(task: FailsoftTask, args: list[Any], kwargs: dict[str, Any], job_id: str) -> Any:
    """Call a task, and the methods of its class that are called around it."""
    task.before_start(job_id, args, kwargs)
    try:
        value = task.run(*args, **kwargs)
    except Ignore:
        return None
    except RetryRequestedError as error:
        info = ExceptionInfo(sys.exc_info())
        task.on_retry(error.exc, job_id, args, kwargs, info)
        task.after_return(states.RETRY, error, job_id, args, kwargs, info)
        raise
    except Exception as error:
        info = ExceptionInfo(sys.exc_info())
        task.on_failure(error, job_id, args, kwargs, info)
        task.after_return(states.FAILURE, error, job_id, args, kwargs, info)
        raise
    task.on_success(value, job_id, args, kwargs)
    task.after_return(states.SUCCESS, value, job_id, args, kwargs, None)
    return value


def _result(value: object, call: TaskCall) -> JsonValue:
    if not call.ignore_result:
        return kept(value)
    with suppress(ResultInvalidError):
        return as_result(value)
    return None


def _dispatch(follower: Follower, told: list[JsonValue], job_id: str) -> None:
    # Of an attempt that is repeated, the job is the same one.
    call = TaskCall(name=follower.name, args=[*told, *follower.args], kwargs=follower.kwargs)
    default_dispatcher().dispatch(declared_task, call, job_id=job_id, queue=follower.queue)


celery_task: CallDefinition[TaskCall] = replace(declared_task, handler=run_task, policies=_policies)
celery_failure_callback: JobDefinition[JobFailure, None] = declared_callback.bind(
    run_failure_callback
)
