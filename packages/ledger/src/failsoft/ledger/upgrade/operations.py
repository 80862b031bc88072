"""Alembic's operations for the migration that this thread carries out.

Alembic's own `op` is one for the process: the operations of a thread that upgrades a ledger would
go to that of another thread, or to the database of an application that calls `upgrade` in a
migration of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text

from failsoft.ledger.upgrade.steps import IndexSpec, Steps

_running: ContextVar[tuple[Operations, Steps]] = ContextVar("failsoft_migration")


class _OfThisThread:
    def __getattr__(self, name: str) -> Any:
        return getattr(_running.get()[0], name)


#: What Alembic's `op` offers, on the connection of the migration.
op: Operations = cast("Operations", _OfThisThread())


@contextmanager
def carrying_out(steps: Steps) -> Iterator[None]:
    """Have what this thread calls work on the connection of the steps."""
    operations = Operations(MigrationContext.configure(steps.connection))
    token = _running.set((operations, steps))
    try:
        yield
    finally:
        _running.reset(token)


def running() -> Steps:
    """Return the steps of the migration that this thread carries out."""
    return _running.get()[1]


def create_index(index: IndexSpec, *, concurrently: bool = False) -> None:
    """Create an index on the connection of the migration."""
    where = None if index.where is None else text(index.where)
    op.create_index(
        index.name,
        index.table,
        list(index.columns),
        unique=index.unique,
        sqlite_where=where,
        postgresql_where=where,
        postgresql_concurrently=concurrently,
    )
