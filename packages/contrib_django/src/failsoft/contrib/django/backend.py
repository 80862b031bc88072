"""The backend of Django Tasks."""

import hashlib
from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

from django.core.checks import CheckMessage
from django.utils.timezone import is_naive, make_aware

from failsoft.api import (
    DispatchOptions,
    JobNotFoundError,
    OptionInvalidError,
    Unique,
)
from failsoft.contrib.django import checks
from failsoft.contrib.django.compat import (
    AnyResult,
    AnyTask,
    BaseTaskBackend,
    InvalidTask,
    TaskResultDoesNotExist,
    as_json,
    task_enqueued,
)
from failsoft.contrib.django.definition import TaskCall, declared_task
from failsoft.contrib.django.options import BackendOptions
from failsoft.contrib.django.results import new_result, result_of, set_id
from failsoft.contrib.django.task_type import FailsoftTask
from failsoft.contrib.django.transactions import AnyHandle, dispatched
from failsoft.dispatcher import default_dispatcher
from failsoft.job_engine.policies.checks import MAX_WORD_CHARS

#: What is the same of two calls of one task.
_SAME_CALL = Unique(by=("path", "args", "kwargs"), while_incomplete=True)


class FailsoftBackend(BaseTaskBackend):
    """Dispatches each task as a job, on whichever engine takes it.

    Attributes:
        failsoft_options: What the `OPTIONS` say.
    """

    task_class: type[FailsoftTask[...]] = FailsoftTask  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        """Read the `OPTIONS`; nothing is opened.

        Raises:
            ImproperlyConfigured: An option is wrong.
        """
        super().__init__(alias, dict(params))
        self.failsoft_options: BackendOptions = BackendOptions.read(alias, self.options)

    def validate_task(self, task: AnyTask) -> None:
        """Refuse a task that could not run.

        Raises:
            InvalidTask: It could not.
        """
        super().validate_task(task)
        if isinstance(task, FailsoftTask) and task.steps:
            if not task.takes_context:
                raise InvalidTask("expected takes_context=True with steps=True, got a task without")
            if iscoroutinefunction(task.func):
                raise InvalidTask("expected a plain function with steps=True, got a coroutine's")

    def enqueue(  # type: ignore[override]  # whose types are of one task
        self, task: AnyTask, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> AnyResult:
        """Record a task as a job, and offer it once it is committed.

        Raises:
            InvalidTask: The task could not run.
            TypeError: JSON cannot carry an argument.
            DispatchError: An option or an argument is refused; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; the job may not have been stored.
        """
        self.validate_task(task)
        call = TaskCall(
            path=task.module_path,
            args=as_json(list(args)),
            kwargs=as_json(dict(kwargs)),
            backend=self.alias,
        )
        ours = FailsoftTask.of(task)
        waiting: list[AnyResult] = []

        def recorded(handle: AnyHandle) -> None:
            for each in waiting:
                set_id(each, handle.id)

        job_id, handle = dispatched(
            call,
            self._options_of(ours, call.path),
            mode=ours.transaction or self.failsoft_options.transaction,
            using=ours.database or self.failsoft_options.database,
            recorded=recorded,
        )
        if handle is not None and not handle.created:
            return self.get_result(job_id)
        recorded_at = None if handle is None else handle.dispatched.created_at
        result = new_result(task, call, job_id, recorded_at)
        waiting.append(result)
        task_enqueued.send(type(self), task_result=result)
        return result

    def _options_of(self, task: FailsoftTask[...], path: str) -> DispatchOptions:
        engines = self.failsoft_options.engines if task.engines is None else task.engines
        options: DispatchOptions = {
            "queue": task.queue_name,
            "priority": task.priority,
            # Its end is what distinguishes one from another.
            "tags": (path[-MAX_WORD_CHARS:], *task.tags),
            "engines": tuple(engines),
        }
        if task.run_after is not None:
            moment = task.run_after
            options["run_at"] = make_aware(moment) if is_naive(moment) else moment
        if task.idempotency_key is not None:
            # A key is the task's own: all of them are jobs of one name.
            key = options["idempotency_key"] = f"{path}:{task.idempotency_key}"
            # Known before the job is, also where that waits for a commit.
            options["job_id"] = hashlib.sha256(key.encode()).hexdigest()[:32]
        if task.unique:
            options["unique"] = _SAME_CALL if task.unique is True else task.unique
        return options

    def get_result(self, result_id: str) -> AnyResult:
        """Return the result of a task, as far as it is.

        Raises:
            TaskResultDoesNotExist: There is none of that id, or it is another backend's.
            LedgerUnavailableError: The ledger did not answer.
        """
        try:
            handle = default_dispatcher().handle(declared_task, result_id)
        except (JobNotFoundError, OptionInvalidError) as error:
            raise TaskResultDoesNotExist(result_id) from error
        job = handle.dispatched
        if job.is_pruned or TaskCall.model_validate_json(job.payload).backend != self.alias:
            raise TaskResultDoesNotExist(result_id)
        return result_of(job, handle.attempts())

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Check the settings of the backend; nothing is connected."""
        return list(checks.of_backend(self.alias, self.queues, self.failsoft_options))
