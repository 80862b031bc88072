"""Objects for as long as they are alive, listed while other threads add to them."""

from collections.abc import Iterator
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class WeakRegistry(Generic[T]):
    """A set of objects that keeps none of them alive.

    To go through a `WeakSet` raises RuntimeError if another thread adds to it meanwhile; what is
    listed here is copied in one step.
    """

    def __init__(self) -> None:
        self._found: WeakValueDictionary[int, T] = WeakValueDictionary()

    def add(self, each: T) -> None:
        """Have an object in it."""
        self._found[id(each)] = each

    def discard(self, each: T) -> None:
        """Have an object in it no more."""
        self._found.pop(id(each), None)

    def __iter__(self) -> Iterator[T]:
        """Go through the objects that are in it and alive now."""
        for found in self._found.valuerefs():
            each = found()
            if each is not None:
                yield each
