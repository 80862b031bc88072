"""What RQ's options become, and a refusal by name of those that become nothing."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from inspect import ismethod
from types import MappingProxyType
from typing import Any, cast

from pydantic import JsonValue
from rq.callbacks import Callback
from rq.job import Retry
from rq.utils import parse_timeout

from failsoft.adoption.rq.call import FunctionCall
from failsoft.adoption.values import expect_json
from failsoft.api import DispatchOptions, OptionInvalidError
from failsoft.job_engine.definitions.callables import allowed_modules, expect_allowed

#: What is not carried over, with what there is in its place.
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "result_ttl": "leave it out: results are kept for a day",
        "failure_ttl": "leave it out: failed jobs are kept for seven days",
        "repeat": "make it a job with `schedule=Every(...)`",
        "on_success": "dispatch what follows at the end of the function",
        "on_stopped": "make it a job with steps, which `failsoft jobs cancel` stops between two",
        "rate_limit": "make it a job with `rate_limit=` or `concurrency=`",
        "pipeline": "leave it out: a dispatch is in no transaction of Redis",
        "webhooks": "dispatch `deliver_webhook` at the end of the function",
        "group_id": "use `dispatch_group`",
    }
)

#: The priority of what goes to the front.
FRONT = 100


def call_of(
    func: Callable[..., Any] | str,
    args: Sequence[object] | None,
    kwargs: Mapping[str, object] | None,
    given: Mapping[str, Any],
    *,
    default_timeout: int | None,
) -> FunctionCall:
    """Return the payload of an enqueued function.

    Args:
        func: The function or its path.
        args: Its arguments.
        kwargs: Its keyword arguments.
        given: The options of `enqueue_call`.
        default_timeout: The longest it may run unless `given` says otherwise, in seconds.

    Raises:
        OptionInvalidError: An option cannot be carried over.
        PayloadInvalidError: JSON cannot carry an argument.
        CallableRefusedError: The function is in no module of FAILSOFT_CALLABLES.
    """
    for name, todo in REFUSED.items():
        if given.get(name):
            raise OptionInvalidError(f"expected no {name} with a FailsoftQueue, got one; {todo}")
    path = path_of(func)
    expect_json(func, args or (), kwargs or {})
    meta = given.get("meta") or {}
    expect_json("meta", (), meta)
    retries, intervals = _retries(given.get("retry"))
    return FunctionCall(
        path=path,
        args=cast("list[JsonValue]", list(args or ())),
        kwargs=cast("dict[str, JsonValue]", dict(kwargs or {})),
        retries=retries,
        intervals=intervals,
        timeout=_timeout(given.get("timeout"), default_timeout),
        meta=meta,
        description=given.get("description"),
        on_failure=_callback(given.get("on_failure")),
    )


def options_of(given: Mapping[str, Any], run_at: datetime | None) -> DispatchOptions:
    """Return the options of the dispatch of an enqueued function."""
    options = DispatchOptions()
    if given.get("job_id"):
        options["job_id"] = given["job_id"]
    if given.get("unique"):
        options["on_duplicate"] = "raise"
    if given.get("at_front"):
        options["priority"] = FRONT
    if run_at is not None:
        options["run_at"] = run_at.astimezone()
    ttl = parse_timeout(given.get("ttl"))
    if ttl is not None:
        options["expires_in"] = timedelta(seconds=ttl)
    return options


def path_of(func: Callable[..., Any] | str) -> str:
    """Return the path by which a worker finds a function.

    Raises:
        OptionInvalidError: It has none.
        CallableRefusedError: It is in no module of FAILSOFT_CALLABLES, where that is set.
    """
    path = func if isinstance(func, str) else _path_of(func)
    if allowed_modules():
        expect_allowed(path)
    return path


def _path_of(func: Callable[..., Any]) -> str:
    name = getattr(func, "__qualname__", "")
    is_bound = ismethod(func) and not isinstance(func.__self__, type)
    if is_bound or not name or "<" in name:
        raise OptionInvalidError(
            f"expected a function of a module, got {func!r}, which a worker cannot find by its "
            "path; put it at the top of a module"
        )
    return f"{func.__module__}.{name}"


def _retries(retry: Retry | int | None) -> tuple[int, list[float]]:
    if retry is None:
        return 0, []
    if isinstance(retry, int):
        return retry, []
    if retry.enqueue_at_front:
        raise OptionInvalidError(
            "expected a Retry without enqueue_at_front, got one with it; leave it out: a retry "
            "keeps the priority of its job"
        )
    return retry.max, [float(each) for each in retry.intervals]


def _timeout(given: int | str | None, default: int | None) -> float | None:
    seconds = parse_timeout(given) if given is not None else default
    if seconds is not None and seconds <= 0:
        raise OptionInvalidError(
            f"expected a timeout above zero, got {seconds}; leave it out for the queue's own"
        )
    return seconds


def _callback(given: Callback | Callable[..., Any] | None) -> str | None:
    if given is None:
        return None
    return path_of(given.func if isinstance(given, Callback) else given)
