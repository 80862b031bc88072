"""The one job that every task of Django's is dispatched as."""

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.utils.module_loading import import_string
from pydantic import BaseModel, JsonValue

from failsoft.api import JobDefinition, MissingHandlerError, NonRetryableError
from failsoft.contrib.django.compat import AnyTask, Task
from failsoft.contrib.django.options import ONCE
from failsoft.job_engine.policies.queue import queue_profile


class TaskCall(BaseModel):  # type: ignore[no-redef]  # pydantic's plug-in has a `kwargs`, too
    """A task and what it is called with.

    Attributes:
        path: Where the task is, as `shop.tasks.pay`.
        args: Its arguments.
        kwargs: Its keyword arguments.
        backend: The alias of its backend.
    """

    path: str
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]
    backend: str


class RefusedTaskError(SuspiciousOperation, NonRetryableError):
    """The ledger names what is no task of a `FailsoftBackend`; it is not called."""


#: The job without its code, as it is dispatched.
declared_task: JobDefinition[TaskCall, Any] = JobDefinition(
    "django_task", TaskCall, Any, queue_profile("default"), retry=ONCE
)


def task_of(call: TaskCall) -> AnyTask:
    """Import the task that a call names.

    Raises:
        MissingHandlerError: There is nothing of that name, perhaps not yet.
        RefusedTaskError: It is no task.
    """
    try:
        found = import_string(call.path)
    except ImportError as error:
        raise MissingHandlerError(
            f"expected a task at {call.path}, got {error}; deploy the code that has it"
        ) from error
    if not isinstance(found, Task):
        raise RefusedTaskError(f"expected a task at {call.path}, got a {type(found).__name__}")
    return found if found.backend == call.backend else found.using(backend=call.backend)
