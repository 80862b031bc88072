"""A connection of the pool for prepared statements alone: SQLAlchemy's own is set up for any."""

from types import TracebackType
from typing import Any, Self

from sqlalchemy import Dialect, Engine, PoolProxiedConnection

from understudy.ledger.errors import as_sqlalchemy


class Channel:
    """What a prepared statement needs of a connection.

    Attributes:
        engine: The engine whose pool it is taken from.
        dialect: The database's.
        connection: The driver's, as the pool lends it.
    """

    def __init__(self, engine: Engine) -> None:
        """Take a connection from the pool.

        Raises:
            DBAPIError: The database cannot be reached.
        """
        self.engine: Engine = engine
        self.dialect: Dialect = engine.dialect
        try:
            self.connection: PoolProxiedConnection = engine.raw_connection()
        except engine.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, "connecting", self.dialect) from error

    def invalidate(self, exception: BaseException | None = None) -> None:
        """Never use the connection again."""
        self.connection.invalidate(exception)

    def execute(self, text: str) -> None:
        """Execute one of the statements around a transaction.

        Raises:
            DBAPIError: It failed.
        """
        driver: Any = self.connection.dbapi_connection
        try:
            driver.execute(text)
        except self.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, text, self.dialect, driver) from error

    def __enter__(self) -> Self:
        """Return the channel."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the connection back; the pool rolls back what was not committed."""
        self.connection.close()
