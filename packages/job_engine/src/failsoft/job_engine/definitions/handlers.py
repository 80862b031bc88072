"""Handlers: the functions that jobs are made of, plain and async, and what they must look like."""

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.annotations import UNRESOLVABLE, hint, is_async, without_partial
from failsoft.job_engine.values.codec import is_model

if TYPE_CHECKING:
    from failsoft.job_engine.steps.async_context import AsyncJobContext
    from failsoft.job_engine.steps.context import JobContext

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

Handler = Callable[[P, "JobContext"], R]
AsyncHandler = Callable[[P, "AsyncJobContext"], Coroutine[Any, Any, R]]
AnyHandler = Handler[P, R] | AsyncHandler[P, R]

#: Refuses a handler, given with the name of its job, by raising.
HandlerCheck = Callable[[str, Callable[..., Any]], None]

_checks: list[HandlerCheck] = []


def check_handlers(check: HandlerCheck) -> None:
    """Have every handler that is defined in this process from now on checked."""
    if check not in _checks:
        _checks.append(check)


def stop_checking(check: HandlerCheck) -> None:
    """Have no handler checked by this any more."""
    if check in _checks:
        _checks.remove(check)


def check_signature(name: str, handler: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the payload model and the result type that a handler declares.

    Raises:
        DefinitionError: If it cannot be a handler.
    """
    Expect(DefinitionError, f"job {name!r}: ").callable("a handler that can be called", handler)
    for check in tuple(_checks):
        check(name, handler)
    target = _plain_function(handler)
    parameters = [p for p in inspect.signature(handler).parameters.values() if p.default is p.empty]
    if len(parameters) != 2:  # noqa: PLR2004 - the payload and the context
        found = ", ".join(parameter.name for parameter in parameters)
        raise DefinitionError(f"job {name!r}: expected a handler (payload, ctx), got ({found})")
    payload_type = _hint(name, target, parameters[0].name)
    if not is_model(payload_type):
        raise DefinitionError(
            f"job {name!r}: expected the first parameter annotated with a pydantic model, "
            f"got {payload_type!r}"
        )
    _check_context(name, handler, _hint(name, target, parameters[1].name, must_exist=False))
    return payload_type, _hint(name, target, "return")


def _check_context(name: str, handler: Callable[..., Any], declared: object) -> None:
    # Imported here: what runs steps, with `asyncio`, is for processes that define jobs, and not for
    # those that only declare and dispatch them.
    from failsoft.job_engine.steps.async_context import AsyncJobContext  # noqa: PLC0415 - see above
    from failsoft.job_engine.steps.context import JobContext  # noqa: PLC0415 - see above

    expected = AsyncJobContext if is_async(handler) else JobContext
    if isinstance(declared, type) and not issubclass(expected, declared):
        kind = "an `async def`" if is_async(handler) else "a plain function"
        raise DefinitionError(
            f"job {name!r}: expected {kind} to take {expected.__name__}, got {declared.__name__}"
        )


def _plain_function(handler: Callable[..., Any]) -> Callable[..., Any]:
    handler = without_partial(handler)
    if inspect.isfunction(handler) or inspect.ismethod(handler):
        return handler
    return type(handler).__call__


def _hint(name: str, target: Callable[..., Any], of: str, *, must_exist: bool = True) -> Any:
    try:
        return hint(target, of)
    except UNRESOLVABLE as error:
        if not must_exist:
            return Any
        raise DefinitionError(
            f"job {name!r}: expected annotations that exist at run time, got {error}; "
            "import the payload model outside `if TYPE_CHECKING`"
        ) from error
