"""The class of a Celery app's tasks that are dispatched."""

# Celery has no types, and what pyright infers of its tasks is not what they are.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from celery import Task
from celery.exceptions import Retry
from celery.result import AsyncResult
from celery.utils.serialization import raise_with_context

from failsoft.adoption.celery.call import TaskCall, celery_failure_callback, celery_task
from failsoft.adoption.celery.options import (
    as_list,
    dispatch_options,
    expect_carried_over,
    expect_plain,
    follower,
    moment,
    priority,
    queue_for,
    timeout,
)
from failsoft.adoption.celery.results import LedgerBackend
from failsoft.adoption.values import as_lists, expect_json
from failsoft.api import (
    JobDefinition,
    Link,
    OptionInvalidError,
    RetryAfterError,
    default_dispatcher,
)

#: The backend of results as Celery's settings name it.
BACKEND = f"{LedgerBackend.__module__}:{LedgerBackend.__name__}"


class RetryRequestedError(RetryAfterError, Retry):
    """What `self.retry()` raises: the job is tried again after the given time."""

    def __init__(self, delay: timedelta, exc: BaseException | None) -> None:
        """Take the place of Celery's own, which `autoretry_for` passes on."""
        message = str(exc) if exc else f"try again after {delay}"
        RetryAfterError.__init__(self, delay, message)
        Retry.__init__(self, message, exc=exc, when=delay.total_seconds())

    def __str__(self) -> str:
        return str(self.message)


class FailsoftTask(Task):
    """A task whose calls are jobs of Failsoft, on whichever engine takes them.

    `delay`, `apply_async` and signatures dispatch; chains, groups and chords of plain tasks become
    those of jobs. `self.retry`, `autoretry_for`, limits of time, `link`, `link_error`, `countdown`,
    `eta`, `expires`, `priority`, `queue` and `task_routes` are carried over. Everything else is
    refused by its name.
    """

    abstract = True
    name: str

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Make the ledger the backend of results, unless the app has another one."""
        if not app.conf.result_backend:
            app.conf.result_backend = BACKEND

    @property
    def backend(self) -> LedgerBackend:
        """Return what reads the results of this task: the ledger, whatever the app's backend is."""
        app = self._get_app()
        found = app.backend
        return found if isinstance(found, LedgerBackend) else LedgerBackend(app)

    def apply_async(
        self,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        task_id: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Dispatch a call of the task; `delay` and signatures come here, too.

        Args:
            args: The arguments.
            kwargs: The keyword arguments.
            task_id: The job's id; a new one where None.
            options: Those of Celery's that are carried over.

        Raises:
            DispatchError: An argument or an option cannot be carried over; nothing was stored.
            LedgerUnavailableError: The ledger did not answer; the job may not have been stored.
        """
        app = self._get_app()
        if app.conf.task_always_eager:
            raise OptionInvalidError(
                "expected task_always_eager to be off, got it on; run what was dispatched by "
                "`drain` of the testing kit"
            )
        if self.typing:
            self.__header__(*(args or ()), **(kwargs or {}))
        given = {**self._get_exec_options(), **options}
        expect_carried_over(given)
        if self._dump_pydantic_arguments is not None:
            args, kwargs = self._dump_pydantic_arguments(args, kwargs)
        link = self._link(args, kwargs, given)
        if given.get("chord"):
            return self.AsyncResult(self._collect(app, link, given))
        if given.get("chain"):
            links = [replace(link, job_id=task_id), *self.links_after(given)]
            return self.AsyncResult(default_dispatcher().dispatch_chain(*links).jobs[0].id)
        made = dispatch_options(app, given)
        if task_id:
            made["job_id"] = task_id
        made["queue"] = str(link.queue)
        handle = default_dispatcher().dispatch(link.job, link.payload, **made)
        return self.AsyncResult(handle.id)

    def retry(  # noqa: PLR0917 - Celery's own
        self,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> RetryRequestedError:
        """End this attempt, and have another one after a time.

        Args:
            args: Refused: a job keeps its arguments.
            kwargs: Refused as well.
            exc: What it is because of; raised when no retry is left.
            throw: Whether to raise; otherwise it is returned, to be raised.
            eta: When the next attempt is.
            countdown: Or after how many seconds; `default_retry_delay` where None.
            max_retries: How many there may be; the task's own where None.
            options: Refused as well.

        Raises:
            RetryRequestedError: A retry is left.
            MaxRetriesExceededError: None is left, and `exc` is None.
            OptionInvalidError: The next attempt was to be another one than this.
        """
        if self.request.called_directly:
            # It is no job that could be tried again.
            raise_with_context(exc or Retry("Task can be retried", None))
        if args is not None or kwargs is not None or options:
            raise OptionInvalidError(
                "expected a retry with the arguments and options of its job, got others; dispatch "
                "another task with them"
            )
        most = self.max_retries if max_retries is None else max_retries
        if most is not None and self.request.retries >= most:
            if exc is not None:
                raise_with_context(exc)
            raise self.MaxRetriesExceededError(
                f"Can't retry {self.name}[{self.request.id}] more than {most} times"
            )
        error = RetryRequestedError(self._pause(eta, countdown), exc)
        if throw:
            raise error
        return error

    def _pause(self, eta: datetime | None, countdown: float | None) -> timedelta:
        if eta is not None:
            app = self._get_app()
            pause: timedelta = moment(app, eta) - app.now()
        else:
            seconds = self.default_retry_delay if countdown is None else countdown
            pause = timedelta(seconds=seconds)
        return max(pause, timedelta(0))

    def link_for(
        self,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        given: Mapping[str, Any],
        queue: str | None = None,
    ) -> Link[TaskCall, Any]:
        """Return the job that a call with options of Celery's becomes.

        Args:
            args: The arguments.
            kwargs: The keyword arguments.
            given: The options.
            queue: The declared queue; that of the options where None.

        Raises:
            DispatchError: An argument or an option cannot be carried over.
        """
        link = self._link(args, kwargs, given)
        return link if queue is None else replace(link, queue=queue)

    def links_after(self, given: Mapping[str, Any]) -> list[Link[TaskCall, Any]]:
        """Return the jobs of the chain behind a call, which its options have.

        Raises:
            DispatchError: The chain is no chain of plain tasks.
        """
        if not given.get("chain"):
            return []
        _expect_at_once("a chain", given)
        links = []
        # The next one is the last of the list.
        for signature in reversed(given["chain"]):
            takes = None if signature["immutable"] else "result_before"
            links.append(_link_of(self._get_app(), signature, "a link of a chain", takes))
        return links

    def link_of(self, signature: Any, takes: str | None) -> Link[TaskCall, Any]:
        """Return the job that a signature of the task becomes in a canvas.

        Args:
            signature: The signature.
            takes: The field of the payload that takes the result of what is before it.

        Raises:
            DispatchError: An argument or an option cannot be carried over.
        """
        given = {**self._get_exec_options(), **signature["options"]}
        expect_carried_over(given)
        return self._link(
            signature["args"], signature["kwargs"], given, job_id=given.get("task_id"), takes=takes
        )

    def _link(
        self,
        args: Sequence[object] | None,
        kwargs: Mapping[str, object] | None,
        given: Mapping[str, Any],
        *,
        job_id: str | None = None,
        takes: str | None = None,
    ) -> Link[TaskCall, Any]:
        app = self._get_app()
        positional, named = as_lists(list(args or ())), as_lists(dict(kwargs or {}))
        expect_json(self.run, positional, named)
        errbacks = as_list(given.get("link_error"))
        call = TaskCall(
            name=self.name,
            args=positional,
            kwargs=named,
            timeout=timeout(given),
            ignore_result=bool(given.get("ignore_result", self.ignore_result)),
            links=[follower(app, each, "link") for each in as_list(given.get("link"))],
            errbacks=[follower(app, each, "link_error") for each in errbacks],
            takes_result=takes == "result_before",
        )
        queue = queue_for(app, self.name, given, (positional, named, self))
        return Link(
            _definition_of(call),
            call,
            result_field=takes,
            job_id=job_id,
            queue=queue,
            priority=priority(given),
        )

    def _collect(self, app: Any, link: Link[TaskCall, Any], given: Mapping[str, Any]) -> str:
        group_id, backend = str(given["group_id"]), app.backend
        if not isinstance(backend, LedgerBackend):
            raise OptionInvalidError(
                "expected no result_backend of an app with a chord, got one; leave it out: results "
                "are read from the ledger"
            )
        _expect_at_once("a chord", given)
        takes = None if given["chord"]["immutable"] else "header"
        body = _link_of(app, given["chord"], "the body of a chord", takes)
        links = backend.collect(group_id, link)
        if links is not None:
            default_dispatcher().dispatch_group(
                links, body, when="all_succeeded", group_id=group_id
            )
        return str(given.get("task_id") or group_id)


def _link_of(app: Any, signature: Any, what: str, takes: str | None) -> Link[TaskCall, Any]:
    expect_plain(signature, what)
    options = signature["options"]
    _expect_at_once(what, options)
    if options.get("chord") or options.get("chain"):
        raise OptionInvalidError(
            f"expected a task as {what}, got one with a canvas of its own; build it with "
            "dispatch_chain or dispatch_group of jobs of your own"
        )
    task = app.tasks[signature["task"]]
    if not isinstance(task, FailsoftTask):
        raise OptionInvalidError(
            f"expected tasks of a FailsoftTask in a canvas, got {task.name!r}; give its app "
            "task_cls=FailsoftTask"
        )
    return task.link_of(signature, takes)


def _expect_at_once(what: str, options: Mapping[str, Any]) -> None:
    refused = [name for name in ("countdown", "eta", "expires") if options.get(name)]
    if refused:
        raise OptionInvalidError(
            f"expected {what} without {', '.join(refused)}, got one with it; call a task with the "
            "delay, which calls it"
        )


def _definition_of(call: TaskCall) -> JobDefinition[TaskCall, Any]:
    if not call.errbacks:
        return celery_task
    return replace(celery_task, on_failure=celery_failure_callback)
