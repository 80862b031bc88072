"""The one job that every function of RQ's is dispatched as, and the one after it has failed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, JsonValue

from failsoft.adoption.definition import ONCE, CallDefinition, Policies
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.records.failure import JobFailure


class FunctionCall(BaseModel):  # type: ignore[no-redef]  # pydantic's plug-in has a `kwargs`, too
    """A function and what it is called with.

    Attributes:
        path: Where the function is, as `shop.tasks.pay`.
        args: Its arguments.
        kwargs: Its keyword arguments.
        retries: How often it is tried again when it raises.
        intervals: The pauses before that in seconds, the last of which holds for all after it.
        timeout: The longest an attempt may run, in seconds; the queue's timeout where None.
        meta: What `get_current_job().meta` is at first.
        description: What `get_current_job().description` is.
        on_failure: The path of the function that is called when it has failed for good.
    """

    path: str
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]
    retries: int = 0
    intervals: list[float] = []
    timeout: float | None = None
    meta: dict[str, JsonValue] = {}
    description: str | None = None
    on_failure: str | None = None


def policies_of(call: FunctionCall) -> Policies:
    """Return the retries and the timeout of a call."""
    timeout = None if call.timeout is None else timedelta(seconds=call.timeout)
    if not call.retries:
        return Policies(ONCE, timeout)
    wait: Sequence[timedelta] = [timedelta(seconds=each) for each in call.intervals or [0]]
    return Policies(RetryPolicy(max_attempts=call.retries + 1, wait=wait), timeout)


#: The job without its code, as it is dispatched.
rq_function: CallDefinition[FunctionCall] = CallDefinition(
    "rq_function",
    FunctionCall,
    Any,
    queue_profile("default"),
    retry=ONCE,
    policies=policies_of,
)

#: The job that calls the `on_failure` of one that has failed.
rq_failure_callback: JobDefinition[JobFailure, None] = declare_job(
    "rq_failure_callback", payload=JobFailure
)
