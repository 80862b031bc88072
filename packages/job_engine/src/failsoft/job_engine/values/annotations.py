"""What a function declares to return, found whatever else in its signature cannot be."""

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
    while isinstance(function, partial):
        function = function.func
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
