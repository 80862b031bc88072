"""Transactions on connections that begin none by themselves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError


@contextmanager
def committed(connection: Connection, begin: Callable[[], object]) -> Iterator[None]:
    """Begin a transaction; commit it at the end, or take back what an error has left half done.

    Args:
        connection: One that commits each statement.
        begin: Begins the transaction on it.
    """
    begin()
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
