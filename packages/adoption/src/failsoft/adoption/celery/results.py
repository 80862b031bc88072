"""Celery's results, read from the ledger: `AsyncResult.get` and its like need no other backend."""

import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, cast

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import TaskRevokedError

from failsoft.adoption.celery.call import TaskCall, celery_task
from failsoft.api import (
    JobNotFoundError,
    JobRecord,
    JobState,
    Link,
    OptionInvalidError,
    default_dispatcher,
)
from failsoft.job_engine.records.error_record import ErrorRecord

_STATUS: Mapping[JobState, str] = MappingProxyType(
    {
        JobState.SCHEDULED: states.PENDING,
        JobState.OFFERED: states.PENDING,
        JobState.RUNNING: states.STARTED,
        # A person decides about it.
        JobState.HELD: states.STARTED,
        JobState.SUCCEEDED: states.SUCCESS,
        JobState.FAILED: states.FAILURE,
        JobState.CANCELLED: states.REVOKED,
    }
)


class LedgerBackend(BaseBackend):
    """Reads the results of tasks from the ledger, and collects the tasks of a chord.

    `FailsoftTask` makes it the `result_backend` of its app, unless that has another one.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        """Read for an app; nothing is opened."""
        super().__init__(app, **options)
        self._header = _Header()

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """Return what Celery keeps of a task: its state, its result or its error.

        Raises:
            LedgerUnavailableError: The ledger did not answer.
        """
        try:
            handle = default_dispatcher().handle(celery_task, task_id)
        except JobNotFoundError:
            # As of any id that Celery's backends do not have.
            return {"task_id": task_id, "status": states.PENDING, "result": None}
        job = handle.job()
        meta: dict[str, Any] = {
            "task_id": task_id,
            "status": _status_of(job),
            "result": None,
            "traceback": None if job.error is None else job.error.traceback,
            "children": [],
            "date_done": job.finished_at,
        }
        if job.state is JobState.SUCCEEDED:
            meta["result"] = handle.result()
        elif job.state is JobState.CANCELLED:
            meta["result"] = TaskRevokedError("cancelled")
        elif job.state is JobState.FAILED:
            meta["result"] = self._exception_of(job.error)
        return meta

    def store_result(
        self, task_id: str, result: object, state: str, *args: object, **more: object
    ) -> NoReturn:
        """Refuse: the ledger keeps results by itself.

        Raises:
            OptionInvalidError: Always.
        """
        raise OptionInvalidError(
            f"expected no state that a task sets itself, got {state!r}; make it a job, and report "
            "by ctx.progress(...)"
        )

    def apply_chord(self, header_result_args: Any, body: Any, **options: object) -> None:
        """Begin to collect the tasks of a chord's header, which are applied in this thread now."""
        group_id, results = header_result_args
        self._header.begin(group_id, len(list(results)))

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Do nothing: the size is known from the beginning."""

    def collect(self, group_id: str, link: Link[TaskCall, Any]) -> list[Link[TaskCall, Any]] | None:
        """Add a task to the header of a chord, and return all of them if it is the last.

        Raises:
            OptionInvalidError: Another chord was begun since.
        """
        header = self._header
        if header.group_id != group_id:
            raise OptionInvalidError(
                "expected a chord whose header is tasks, got another canvas; build it with "
                "dispatch_group of jobs of your own"
            )
        header.links.append(link)
        return header.links if len(header.links) == header.size else None

    def _exception_of(self, error: ErrorRecord | None) -> BaseException:
        module, _, name = (error.type if error else "Exception").rpartition(".")
        found: Any = self.exception_to_python(
            {
                "exc_type": name,
                "exc_module": module or "builtins",
                "exc_message": [error.message if error else ""],
            }
        )
        return cast("BaseException", found)


class _Header(threading.local):
    """The header of the chord that is applied by a thread."""

    def __init__(self) -> None:
        self.begin("", 0)

    def begin(self, group_id: str, size: int) -> None:
        self.group_id = group_id
        self.size = size
        self.links: list[Link[TaskCall, Any]] = []


def results_of(job_ids: Iterable[str]) -> list[Any]:
    """Return what the tasks of a chord's header returned, in their order."""
    dispatcher = default_dispatcher()
    return [dispatcher.handle(celery_task, each).result() for each in job_ids]


def _status_of(job: JobRecord) -> str:
    is_retry = job.state is JobState.SCHEDULED and job.errors > 0
    return states.RETRY if is_retry else _STATUS[job.state]
