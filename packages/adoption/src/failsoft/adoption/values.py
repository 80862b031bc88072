"""Arguments and results as JSON carries them; what it does not carry is refused by name."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from failsoft.job_engine.errors import PayloadInvalidError
from failsoft.job_engine.values.codec import encode_freely
from failsoft.job_engine.values.round_trip import plain_change

#: What is to be done about an argument that JSON cannot carry.
_TODO = "pass what JSON carries, such as an id, and make the object of it in the function"


def expect_json(
    function: Callable[..., Any] | str, args: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    """Refuse arguments that JSON cannot carry as they are.

    Args:
        function: What they are for: its parameters have the names that a refusal shows.
        args: The arguments.
        kwargs: The keyword arguments.

    Raises:
        PayloadInvalidError: One is more than JSON; the message has its name, and no value.
    """
    for name, value in _named(function, args, kwargs):
        if changed := plain_change(value):
            raise PayloadInvalidError(
                f"expected JSON as the argument {name} of {_called(function)}, got {changed}; "
                f"{_TODO}"
            )


def as_lists(value: Any) -> Any:
    """Return a value with lists for tuples, as an engine whose messages are JSON makes of it."""
    if isinstance(value, list | tuple):
        return [as_lists(each) for each in value]
    if isinstance(value, dict):
        return {key: as_lists(each) for key, each in value.items()}
    return value


def as_result(value: object) -> JsonValue:
    """Return what a function returned as JSON has it, each part by its own type.

    Raises:
        ResultInvalidError: JSON cannot carry a part of it.
    """
    result: JsonValue = json.loads(encode_freely(value))
    return result


def _called(function: Callable[..., Any] | str) -> str:
    return function if isinstance(function, str) else getattr(function, "__name__", repr(function))


def _named(
    function: Callable[..., Any] | str, args: Sequence[object], kwargs: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    names = [] if isinstance(function, str) else list(_positional(function))
    for place, value in enumerate(args):
        yield repr(names[place]) if place < len(names) else f"number {place + 1}", value
    for name, value in kwargs.items():
        yield repr(name), value


def _positional(function: Callable[..., Any]) -> Iterator[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    for each in parameters:
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD):
            yield each.name
