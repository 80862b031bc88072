"""The job module of workers: it has the functions of RQ, and `rq.get_current_job()` within them.

It imports the modules of `FAILSOFT_CALLABLES` when a worker starts.
"""

import asyncio
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pydantic import JsonValue
from rq.job import _current_job  # what `rq.get_current_job` reads, and nothing else sets

from failsoft.adoption.definition import CallDefinition, found, kept
from failsoft.adoption.rq.call import FunctionCall
from failsoft.adoption.rq.call import rq_failure_callback as declared_callback
from failsoft.adoption.rq.call import rq_function as declared_function
from failsoft.api import JobContext, JobFailure
from failsoft.job_engine.definitions.callables import Callables, allowed_modules
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.steps.progress import MAX_NOTE_CHARS

_callables = Callables(allowed_modules())


class FunctionFailedError(Exception):
    """What a failure callback gets in place of the exception, of which the ledger has the text.

    Attributes:
        error_type: The class name of the recorded exception.
    """

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type: str = error_type


class CurrentJob:
    """What `rq.get_current_job()` returns within a function.

    Attributes:
        id: The job's id.
        origin: The name of its queue.
        func_name: The path of its function.
        description: What it was enqueued with.
        meta: What it was enqueued with, and what the function puts there in this attempt.
    """

    def __init__(self, call: FunctionCall, ctx: JobContext) -> None:
        self.id: str = ctx.job_id
        self.origin: str = ctx.queue
        self.func_name: str = call.path
        self.description: str | None = call.description
        self.meta: dict[str, JsonValue] = dict(call.meta)
        self._ctx = ctx
        self._saves = 0

    def save_meta(self) -> None:
        """Report `meta` as the job's progress: the number of reports, and its JSON as the note."""
        self._saves += 1
        self._ctx.progress(self._saves, note=json.dumps(self.meta, default=str)[:MAX_NOTE_CHARS])


def run_function(call: FunctionCall, ctx: JobContext) -> JsonValue:
    """Call the function that a job is of.

    Raises:
        HoldRequested: It is in no module of FAILSOFT_CALLABLES, or its result is no JSON.
        MissingHandlerError: Its module has no such function, perhaps not yet.
    """
    function = found(_callables, call.path)
    with _current(CurrentJob(call, ctx)):
        value = function(*call.args, **call.kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
    return kept(value)


def run_failure_callback(failure: JobFailure, ctx: JobContext) -> None:
    """Call the `on_failure` of a function that has failed for good."""
    call = FunctionCall.model_validate(failure.payload)
    callback = found(_callables, call.on_failure or "")
    error = FunctionFailedError(failure.error_type, failure.error_message)
    job = CurrentJob(call, ctx)
    job.id = failure.job_id
    # The place of a connection to Redis, and of a traceback, stays empty.
    callback(job, None, type(error), error, None)


@contextmanager
def _current(job: CurrentJob) -> Iterator[None]:
    token = _current_job.set(job)  # type: ignore[arg-type]  # in place of RQ's own
    try:
        yield
    finally:
        _current_job.reset(token)


rq_function: CallDefinition[FunctionCall] = replace(declared_function, handler=run_function)
rq_failure_callback: JobDefinition[JobFailure, None] = declared_callback.bind(run_failure_callback)
