"""What is written beside the work of a transaction, and committed with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy import Connection

T = TypeVar("T")

#: Gets the connection, and what the work returned.
Beside = Callable[[Connection, object], None]

_BESIDE: ContextVar[Beside | None] = ContextVar("failsoft_beside", default=None)


@contextmanager
def writing_beside(write: Beside) -> Iterator[None]:
    """Have each transaction that this thread begins within the block write this, too."""
    token = _BESIDE.set(write)
    try:
        yield
    finally:
        _BESIDE.reset(token)


def with_what_is_beside(work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """Return work that writes what is to be written beside it, where that is anything."""
    write = _BESIDE.get()
    if write is None:
        return work

    def both(connection: Connection) -> T:
        result = work(connection)
        write(connection, result)
        return result

    return both
