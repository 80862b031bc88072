"""What a function declares: what it returns, and whether it is awaited."""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, get_type_hints

#: What evaluating an annotation raises that exists for type checkers only, or is none.
UNRESOLVABLE = (NameError, TypeError, SyntaxError, AttributeError)


def returned_by(function: Callable[..., Any]) -> Any:
    """Return the type that calling it returns, as it is declared; `Any` where nothing says.

    A class returns its own instances.
    """
    function = without_partial(function)
    if isinstance(function, type):
        return function
    if not hasattr(function, "__code__") and not inspect.isbuiltin(function):
        # The method of a bound one, or what makes an object callable.
        function = getattr(function, "__func__", None) or type(function).__call__
    return _declared(function)


@lru_cache(maxsize=1024)
def _declared(function: Callable[..., Any]) -> Any:
    try:
        found = hint(function, "return")
    except UNRESOLVABLE:
        return Any
    return type(None) if found is None else found


def without_partial(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that a `partial` calls in the end."""
    while isinstance(function, partial):
        function = function.func
    return function


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling it gives a coroutine."""
    function = without_partial(function)
    if inspect.isfunction(function):
        return inspect.iscoroutinefunction(function)
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method itself is wanted


def hint(function: Callable[..., Any], name: str) -> Any:
    """Evaluate one annotation of a function by itself; `Any` where there is none.

    Raises:
        NameError, TypeError, SyntaxError, AttributeError: It does not exist at run time.
    """
    annotations = getattr(function, "__annotations__", {})
    if name not in annotations:
        return Any
    alone = SimpleNamespace(__annotations__={name: annotations[name]})
    known = getattr(inspect.unwrap(function), "__globals__", {})
    return get_type_hints(alone, globalns=known, include_extras=True)[name]
