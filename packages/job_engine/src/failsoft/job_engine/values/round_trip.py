"""Whether a value is the same after its way through JSON, and what is not.

What is said of a change names fields and types, and never a value or a key: they may be secrets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import chain
from typing import Any

from pydantic import BaseModel

#: What JSON gives back as it was.
_PLAIN = (dict, list, str, int, float, bool, type(None))


def is_same(value: Any, again: Any) -> bool:
    """Return whether the value that was read back is the one that was written."""
    try:
        return bool(value == again)
    except Exception:  # noqa: BLE001 - a comparison is the value's own code
        return False


def plain_change(value: object) -> str:
    """Say what JSON would change of a value whose type nothing declares; nothing if it is plain."""
    return next(_odd(value, "it"), "")


def change(value: object, again: object) -> str:
    """Say where a value and what was read back of it differ first."""
    return next(_different(value, again, "it"), f"another {type(value).__name__}")


def changed_fields(model: BaseModel, again: BaseModel) -> list[str]:
    """Return the fields of a model whose values are others after JSON."""
    names = type(model).model_fields
    return [name for name in names if not is_same(getattr(model, name), getattr(again, name))]


def _odd(value: object, place: str) -> Iterator[str]:
    if not isinstance(value, _PLAIN) or isinstance(value, Enum):
        yield f"{type(value).__name__} as {place}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or isinstance(key, Enum):
                yield f"a dict with {type(key).__name__} as keys"
            yield from _odd(inner, "a value of a dict")
    elif isinstance(value, list):
        yield from chain.from_iterable(_odd(inner, "an element of a list") for inner in value)


def _different(value: object, again: object, place: str) -> Iterator[str]:
    if is_same(value, again):
        return
    if type(value) is not type(again):
        yield f"{type(again).__name__} instead of {type(value).__name__} as {place}"
        return
    for inner, its, where in _inside(value, again):
        yield from _different(inner, its, where)
    yield f"another {type(value).__name__} as {place}"


def _inside(value: Any, again: Any) -> Iterator[tuple[object, object, str]]:
    if isinstance(value, BaseModel):
        names = list(type(value).model_fields)
    else:
        names = [each.name for each in fields(value)] if is_dataclass(value) else []
    for name in names:
        yield getattr(value, name), getattr(again, name), f"its field {name!r}"
    if isinstance(value, list | tuple) and len(value) == len(again):
        for inner, its in zip(value, again, strict=True):
            yield inner, its, "an element"
    if isinstance(value, Mapping) and value.keys() == again.keys():
        for key in value:
            yield value[key], again[key], "a value of a dict"
