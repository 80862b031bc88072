"""Statements whose text is made once: those of dispatches, steps, transitions and idle workers.

SQLAlchemy looks a statement up by its structure at each execution, builds its parameters anew and
sets up a result, which takes five times as long as SQLite takes to carry a short one out. Here
the text is kept, and it goes to the driver with the values as they are: whole numbers, strings
and None. Errors are SQLAlchemy's all the same; only its statement events are not emitted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Row, Select
from sqlalchemy.engine import result_tuple
from sqlalchemy.exc import DBAPIError, MultipleResultsFound
from sqlalchemy.sql.dml import UpdateBase

from failsoft.ledger.database.errors import as_sqlalchemy
from failsoft.ledger.database.raw_connections import RawConnection

AnyConnection = Connection | RawConnection
AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]
Statement = UpdateBase | AnySelect
#: For a statement without parameters.
NO_VALUES: Mapping[str, Any] = MappingProxyType({})


class Outcome(NamedTuple):
    """What a statement returned and did.

    Attributes:
        rows: What it returned, as the driver has it.
        rowcount: How many rows it touched.
    """

    rows: Sequence[AnyRow]
    rowcount: int

    def one_or_none(self) -> AnyRow | None:
        """Return the row.

        Raises:
            MultipleResultsFound: There is a second one.
        """
        if len(self.rows) > 1:
            raise MultipleResultsFound(f"expected one row at most, got {len(self.rows)}")
        return self.rows[0] if self.rows else None


class CompiledStatement:
    """A statement, without lists of variable length, in the dialect of one database."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._fixed: Mapping[str, Any] = compiled.params
        self._in_order: Callable[[Any], Any] | None = None
        if compiled.positional and compiled.positiontup:
            self._in_order = _getter(compiled.positiontup)
        columns = list(statement.exported_columns)
        names = [column.name for column in columns]
        self._row: Callable[[Any], AnyRow] | None = result_tuple(names) if names else None
        self._of_types = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]

    def execute(self, connection: AnyConnection, values: Mapping[str, Any]) -> Outcome:
        """Execute it with a value for each parameter.

        Raises:
            DBAPIError: What the driver raised, as SQLAlchemy would raise it.
        """
        return self._carry_out(connection, self._given(values), many=False)

    def read(self, connection: AnyConnection, values: Mapping[str, Any]) -> Sequence[AnyRow]:
        """Execute it, and return its rows with the values as the types of its columns have them.

        Raises:
            DBAPIError: As `execute`.
        """
        found = self.execute(connection, values).rows
        row = self._row
        assert row is not None  # noqa: S101 - what is read has columns
        return [
            row(
                [of(value) if of else value for of, value in zip(self._of_types, each, strict=True)]
            )
            for each in found
        ]

    def execute_many(
        self, connection: AnyConnection, values: Iterable[Mapping[str, Any]]
    ) -> Outcome:
        """Execute it once for each of several values; what it returns is not read.

        Raises:
            DBAPIError: As `execute`.
        """
        return self._carry_out(connection, [self._given(each) for each in values], many=True)

    def _given(self, values: Mapping[str, Any]) -> Any:
        given = {**self._fixed, **values}
        return self._in_order(given) if self._in_order else given

    def _carry_out(self, connection: AnyConnection, given: Any, *, many: bool) -> Outcome:
        kept = connection.cursor if isinstance(connection, RawConnection) else None
        cursor: Any = kept or connection.connection.cursor()
        try:
            if many:
                cursor.executemany(self._text, given)
                return Outcome((), cursor.rowcount)
            cursor.execute(self._text, given)
            rows = [self._row(each) for each in cursor.fetchall()] if self._row else ()
            outcome = Outcome(rows, cursor.rowcount)
            if kept is None:
                cursor.close()
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._translated(connection, error) from error
        except Exception:
            raise
        except BaseException as interrupt:
            # The connection may be in the middle of anything. SQLite keeps its lock while there is
            # a statement, and what keeps the interrupt keeps this cursor.
            with suppress(connection.dialect.loaded_dbapi.Error):
                cursor.close()
            connection.invalidate(interrupt)
            raise
        return outcome

    def _translated(self, connection: AnyConnection, error: Exception) -> BaseException:
        """Return SQLAlchemy's error for it; forget the connections if this one is broken."""
        driver = connection.connection.dbapi_connection
        raised = as_sqlalchemy(error, self._text, connection.dialect, driver)
        if isinstance(raised, DBAPIError) and raised.connection_invalidated:
            if isinstance(connection, RawConnection):
                connection.invalidate_all(error)
            else:
                pool: Any = connection.engine.pool
                pool._invalidate(connection.connection, error, _checkin=False)  # noqa: SLF001
                connection.invalidate(error)
        return raised


def _getter(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Return what takes several values, or a single one, out of a mapping as a tuple."""
    return itemgetter(*names) if len(names) > 1 else lambda given: (given[names[0]],)


def prepare(statements: Iterable[Statement], dialect: Dialect) -> None:
    """Compile statements for a database, to which nothing need be connected yet."""
    for statement in statements:
        _prepared(statement, dialect)


def execute(connection: AnyConnection, statement: Statement, values: Mapping[str, Any]) -> Outcome:
    """Execute a statement that lives as long as the process, prepared at its first execution."""
    return _prepared(statement, connection.dialect).execute(connection, values)


def read(
    connection: AnyConnection, statement: Statement, values: Mapping[str, Any] = NO_VALUES
) -> Sequence[AnyRow]:
    """Return the rows of such a statement, with values as the types of its columns have them."""
    return _prepared(statement, connection.dialect).read(connection, values)


def execute_many(
    connection: AnyConnection, statement: Statement, values: Iterable[Mapping[str, Any]]
) -> Outcome:
    """Execute such a statement once for each of several values."""
    return _prepared(statement, connection.dialect).execute_many(connection, values)


#: So many are kept: more than there are, unless their shapes are of strangers' making.
_MOST = 1024
#: Those of each kind of database. A statement is compiled once, however many ledgers of a kind a
#: process opens, and in a forked process not at all where its parent has executed it.
_prepared_of: dict[tuple[type[Dialect], Statement], CompiledStatement] = {}


def _prepared(statement: Statement, dialect: Dialect) -> CompiledStatement:
    key = type(dialect), statement
    found = _prepared_of.get(key)
    if found is None:
        if len(_prepared_of) >= _MOST:
            _prepared_of.clear()
        found = _prepared_of.setdefault(key, CompiledStatement(statement, dialect))
    return found
