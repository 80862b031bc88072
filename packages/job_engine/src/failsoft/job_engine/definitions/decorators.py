"""How definitions are made: `@job` in one, `declare_job` without the handler."""

from typing import Any, Protocol, Unpack, overload

from failsoft.job_engine.declaration import JobOptions
from failsoft.job_engine.definitions.definition import JobDefinition, P, R
from failsoft.job_engine.definitions.handlers import (
    AnyHandler,
    AsyncHandler,
    Handler,
    check_signature,
)
from failsoft.job_engine.policies.checks import check_known
from failsoft.job_engine.policies.queue import queue_profile


@overload
def declare_job(
    name: str,
    *,
    payload: type[P],
    result: None = None,
    queue: str = "default",
    **options: Unpack[JobOptions],
) -> JobDefinition[P, None]: ...


@overload
def declare_job(
    name: str,
    *,
    payload: type[P],
    result: type[R],
    queue: str = "default",
    **options: Unpack[JobOptions],
) -> JobDefinition[P, R]: ...


def declare_job(
    name: str,
    *,
    payload: type[P],
    result: type[Any] | None = None,
    queue: str = "default",
    **options: Unpack[JobOptions],
) -> JobDefinition[P, Any]:
    """Declare a job without its handler, so that a web app need not import what it needs.

    Args:
        name: The job's name.
        payload: The pydantic model of its payload.
        result: The type of its result; None where it has none.
        queue: The name of a declared queue.
        options: Any other attribute of `JobDefinition`.

    Raises:
        DefinitionError: If an option is wrong; `UnknownQueueError` if the queue is.
    """
    check_known(name, options, JobOptions.__annotations__)
    return JobDefinition(name, payload, result or type(None), queue_profile(queue), **options)


class Define(Protocol):
    """Makes a job of a handler; what `@job(...)` is."""

    @overload
    def __call__(self, handler: AsyncHandler[P, R], /) -> JobDefinition[P, R]: ...

    @overload
    def __call__(self, handler: Handler[P, R], /) -> JobDefinition[P, R]: ...

    def __call__(self, handler: Any, /) -> Any:
        """Make a job of a handler, plain or `async`."""
        ...


@overload
def job(handler: AsyncHandler[P, R], /) -> JobDefinition[P, R]: ...


@overload
def job(handler: Handler[P, R], /) -> JobDefinition[P, R]: ...


@overload
def job(
    *,
    name: str | None = None,
    queue: str = "default",
    **options: Unpack[JobOptions],
) -> Define: ...


def job(
    handler: AnyHandler[Any, Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = "default",
    **options: Unpack[JobOptions],
) -> Any:
    """Make a job of a handler: the short form that declares and binds in one.

    The handler takes `(payload, ctx)`; its annotations say the payload model and the result. An
    `async def` takes an `AsyncJobContext`. Without options the parentheses may be left out.

    Args:
        handler: The handler, where the decorator stands without parentheses.
        name: The job's name; the function's name where None.
        queue: The name of a declared queue.
        options: Any other attribute of `JobDefinition`.

    Raises:
        DefinitionError: If the signature or an option is wrong; `UnknownQueueError` if the queue.
    """

    def define(handler: AnyHandler[P, R]) -> JobDefinition[P, R]:
        job_name = name or str(getattr(handler, "__name__", type(handler).__name__))
        check_known(job_name, options, JobOptions.__annotations__)
        payload_type, result_type = check_signature(job_name, handler)
        return JobDefinition(
            job_name,
            payload_type,
            result_type,
            queue_profile(queue),
            handler=handler,
            **options,
        )

    return define if handler is None else define(handler)
