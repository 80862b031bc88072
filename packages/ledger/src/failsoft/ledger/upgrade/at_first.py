"""Making a ledger: every migration in one transaction, for there is no row and no other writer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from failsoft.ledger.upgrade import operations
from failsoft.ledger.upgrade.steps import IndexSpec


class FirstSteps:
    """`Steps` on a database without a ledger."""

    is_first = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def once(self, step: str, table: str, work: Callable[[], None]) -> None:
        """Do it in the one transaction."""
        work()

    @contextmanager
    def transaction(self, table: str) -> Iterator[None]:
        """Go on in the one transaction."""
        yield

    def create_index(self, index: IndexSpec) -> None:
        """Create it at once."""
        operations.create_index(index)

    def drop_index(self, name: str, table: str) -> None:
        """Drop it at once."""
        self.connection.exec_driver_sql(f'DROP INDEX IF EXISTS "{name}"')

    def report(
        self, step: str, phase: str, done: int | None = None, total: int | None = None
    ) -> None:
        """Report nothing: it takes no time."""
