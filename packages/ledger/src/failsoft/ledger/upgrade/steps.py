"""What an upgrade consists of: steps that may be killed at any point and run again."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Connection, TextClause

#: How long an upgrade waits for a lock, or for another upgrade, before it gives up.
PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upgrade has come.

    Attributes:
        revision: The revision that the ledger is being brought to.
        step: What is being done, such as `index ix_failsoft_jobs_due`.
        phase: `begun`, `done`, or what the step does or waits for at the moment.
        done: How many of `total` rows or blocks the phase is through with, where that is known.
        total: How many there are.
    """

    revision: str
    step: str
    phase: str
    done: int | None = None
    total: int | None = None


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index of a table."""

    name: str
    table: str
    columns: Sequence[str | TextClause]
    unique: bool = False
    where: str | None = None


class Steps(Protocol):
    """Carries the steps of one migration out, in the way of one database.

    Attributes:
        connection: What every step runs on.
        is_first: Whether the ledger is being made: it has no rows, and all is one transaction.
    """

    connection: Connection
    is_first: bool

    def once(self, step: str, table: str, work: Callable[[], None]) -> None:
        """Do something that takes no time, in a short transaction of its own.

        Args:
            step: What it is, for the progress.
            table: The table it locks.
            work: Does it. It runs again after a kill and after a lock that it did not get, so it
                looks at what is there before.
        """
        ...

    def transaction(self, table: str) -> AbstractContextManager[None]:
        """Begin a transaction of a few rows of a table; commit it at the end."""
        ...

    def create_index(self, index: IndexSpec) -> None:
        """Build an index while others write, where the database can; one that is there stays."""
        ...

    def drop_index(self, name: str, table: str) -> None:
        """Drop an index; one that is not there is no error."""
        ...

    def report(
        self, step: str, phase: str, done: int | None = None, total: int | None = None
    ) -> None:
        """Report how far a step has come."""
        ...
