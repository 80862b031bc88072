"""A write that may be made together with those of other threads, in one statement."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from failsoft.ledger.database.raw_connections import RawConnection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JointWrite(Generic[T]):
    """A write that may be made together with others.

    Attributes:
        alike: What writes share that are made by one statement.
        key: What is written; no two of a batch have the same.
        values: What the statement is given for it.
        together: Makes several; returns what each of them returned, by its key. One that is left
            out was not made, and is tried alone: it may have to wait for another transaction.
    """

    alike: Hashable
    key: str
    values: Mapping[str, Any]
    together: Callable[[RawConnection, Sequence[Mapping[str, Any]]], Mapping[str, T]]


def no_joint() -> None:
    """Return that a write is made alone."""
