"""One form for what is equal: the same payload has the same text and keys in every process.

A set has no order of its own: its elements come in another one in every process. So they are
sorted wherever a payload becomes JSON. A dict keeps the order in which it was filled, which says
nothing either: it is left out of digests.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel

#: Made once: `json.dumps` makes an encoder for each call whose options are not its defaults.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical(value: Any) -> str:
    """Return what JSON can carry as text, the same whatever the order of the keys."""
    return _encode(value)


def digest(text: str) -> str:
    """Return what is equal for payloads, as JSON, that are the same work: SHA-256 in hex."""
    return hashlib.sha256(canonical(json.loads(text)).encode()).hexdigest()


def sort_sets(value: object, data: Any) -> bool:
    """Sort in `data`, which is the JSON of `value`, every list that was a set.

    Returns:
        Whether there was any.
    """
    if isinstance(value, AbstractSet) and isinstance(data, list):
        # Sets inside a set first: what they are sorted by must be sorted itself.
        _sort_inside(value, data)
        data.sort(key=canonical)
        return True
    # By the mark of a `RootModel`: the first import of that class builds its schema.
    if isinstance(value, BaseModel) and value.__pydantic_root_model__:
        return sort_sets(getattr(value, "root"), data)  # noqa: B009 - only a root model has it
    if isinstance(data, dict):
        return _sort_inside(*_paired(value, data))
    if isinstance(data, list) and isinstance(value, Iterable):
        return _sort_inside(value, data)
    return False


def _paired(value: object, data: dict[str, Any]) -> tuple[Iterable[object], Iterable[Any]]:
    if isinstance(value, BaseModel) or is_dataclass(value):
        # Another serializer than the fields' own may have other names; it is taken as it is.
        names = [name for name in data if hasattr(value, name)]
        return [getattr(value, name) for name in names], [data[name] for name in names]
    if isinstance(value, Mapping):
        return value.values(), data.values()
    return (), ()


def _sort_inside(values: Iterable[object], data: Iterable[Any]) -> bool:
    # Pydantic writes what it meets in the order in which it meets it.
    pairs = zip(values, data, strict=False)
    # Every one of them, not only up to the first that has a set.
    return sum(sort_sets(inner, its) for inner, its in pairs) > 0
