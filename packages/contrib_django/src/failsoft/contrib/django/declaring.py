"""Django's decorator `@task`, typed with what Failsoft adds to it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Concatenate, Literal, ParamSpec, TypedDict, Unpack, overload

from failsoft.api import RetryPolicy, Unique
from failsoft.contrib.django import compat
from failsoft.contrib.django.compat import AnyContext
from failsoft.contrib.django.options import Mode
from failsoft.contrib.django.steps import StepContext
from failsoft.contrib.django.task_type import FailsoftTask

P = ParamSpec("P")


class TaskOptions(TypedDict, total=False):
    """Options of a task besides its context: Django's, and those of `FailsoftTask`."""

    priority: int
    queue_name: str
    backend: str
    retry: RetryPolicy
    timeout: timedelta
    idempotency_key: str
    unique: bool | Unique
    tags: Sequence[str]
    engines: Sequence[str]
    transaction: Mode
    database: str


@overload
def task(
    *, steps: Literal[True], **options: Unpack[TaskOptions]
) -> Callable[[Callable[Concatenate[StepContext, P], Any]], FailsoftTask[P]]: ...


@overload
def task(
    *, takes_context: Literal[True], **options: Unpack[TaskOptions]
) -> Callable[[Callable[Concatenate[AnyContext, P], Any]], FailsoftTask[P]]: ...


@overload
def task(
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, Any]], FailsoftTask[P]]: ...


def task(
    *, steps: bool = False, takes_context: bool = False, **options: Unpack[TaskOptions]
) -> Callable[[Callable[..., Any]], FailsoftTask[...]]:
    """Declare a task on a `FailsoftBackend`, as Django's `@task` does.

    Args:
        steps: Whether its first argument is a `StepContext`, whose steps are recorded.
        takes_context: Whether its first argument is Django's own context.
        options: The attributes of `FailsoftTask` and Django's own.

    Raises:
        TypeError: The backend is none of Failsoft's, and has no such option.
        InvalidTask: The backend could not run the task.
    """
    declare: Any = compat.task
    declared: Callable[[Callable[..., Any]], FailsoftTask[...]] = declare(
        takes_context=takes_context or steps, steps=steps, **options
    )
    return declared
