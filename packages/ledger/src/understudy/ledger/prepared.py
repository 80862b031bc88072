"""Statements whose text is made once: those that every dispatch, step and transition execute.

SQLAlchemy looks a statement up by its structure at each execution and builds its parameters
anew, which takes as long as SQLite takes to carry a short one out. Here the text is kept, and
values go to the driver as they are: whole numbers, strings and None.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Select
from sqlalchemy.sql.dml import UpdateBase

Statement = UpdateBase | Select[*tuple[Any, ...]]


class Prepared:
    """A statement in the words of one database."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        """Compile a statement that has no list of variable length."""
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._fixed: Mapping[str, Any] = compiled.params
        self._order: tuple[str, ...] | None = compiled.positional and tuple(compiled.positiontup)

    def execute(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute it with a value for each parameter; results are as the driver returns them."""
        given = {**self._fixed, **values}
        if self._order:
            return connection.exec_driver_sql(self._text, tuple([given[n] for n in self._order]))
        return connection.exec_driver_sql(self._text, given)


def execute(
    connection: Connection, statement: Statement, values: Mapping[str, Any]
) -> CursorResult[*tuple[Any, ...]]:
    """Execute a statement that lives as long as the process, prepared at its first execution."""
    return _prepared(statement, connection.dialect).execute(connection, values)


@lru_cache
def _prepared(statement: Statement, dialect: Dialect) -> Prepared:
    return Prepared(statement, dialect)
