"""PostgreSQL's dialect of SQLAlchemy's, with connections made the ledger's way.

Loaded when the first engine on PostgreSQL is made: it imports psycopg.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger.database.postgresql.bounded_driver import BoundedConnection, resolved
from failsoft.ledger.database.postgresql.distributed import expect_one_server
from failsoft.ledger.database.postgresql.pooler import is_pooler_between, refuse_shared_session
from failsoft.ledger.database.postgresql.session import SessionSettings

#: Where a parameter is one of another driver's.
_OWN_URL = "take it out, or give the ledger a URL of its own in FAILSOFT_LEDGER_URL"
#: PgBouncer's error for a parameter that it neither supports nor is set to ignore.
_UNSUPPORTED = "unsupported startup parameter"


class LedgerDialect(PGDialect_psycopg):
    """psycopg's dialect; connecting is bounded, and a pooler is found out about."""

    supports_statement_cache = True

    #: What each session is set to; given before the first connection.
    session: SessionSettings = SessionSettings()
    _has_connected: bool = False

    @staticmethod
    def expect_known(given: Iterable[str]) -> None:
        """Refuse parameters of a URL that libpq does not know.

        Raises:
            ConfigurationError: If there is one; the driver would say so at the first connection.
        """
        known = [option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()]
        for name in given:
            if name not in known:
                close = get_close_matches(name, known, 1, 0.5)
                todo = f"did you mean {close[0]}?" if close else _OWN_URL
                raise ConfigurationError(
                    "expected parameters that PostgreSQL's clients know in the URL of "
                    f"FAILSOFT_LEDGER_URL or DATABASE_URL, got {name}; {todo}"
                )

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        """Open a connection.

        Raises:
            Error: The server is not there, or refuses.
            ConfigurationError: A pooler stands before it that the URL does not name, or it is no
                PostgreSQL, or one that is distributed.
        """
        given = {**resolved(cparams), "autocommit": True}
        if self.session.is_pooled:
            given |= {"prepare_threshold": None}
            given.pop("options", None)
        connection = _opened(cargs, given)
        try:
            if not self._has_connected:
                expect_one_server(connection)
            if not self.session.is_pooled:
                self._set_up(connection, lambda: _opened(cargs, given))
        except BaseException:
            connection.close()
            raise
        self._has_connected = True
        return connection

    def _set_up(
        self, connection: BoundedConnection, connect: Callable[[], BoundedConnection]
    ) -> None:
        is_pooler = is_pooler_between(connection)
        if is_pooler and not self.session.is_trusted:
            refuse_shared_session(connection, connect, at_start=not self._has_connected)
        # A pooler ignores or refuses parameters that a client sends at the start.
        text = self.session.set_all if is_pooler else self.session.set_once
        connection.execute(text.encode(), prepare=False)


def _opened(cargs: Any, given: dict[str, Any]) -> BoundedConnection:
    try:
        return BoundedConnection.connect(*cargs, **given)
    except psycopg.OperationalError as error:
        if _UNSUPPORTED not in str(error):
            raise
        if given.pop("options", None) is not None:
            # It is a pooler; they are set when it is known to lend a session for good.
            return _opened(cargs, given)
        raise ConfigurationError(
            f"expected a server that takes what FAILSOFT_LEDGER_URL sets, got {error}; name "
            "PostgreSQL itself, or take the parameter out of the URL and set it for the role: "
            "ALTER ROLE ... SET ..."
        ) from error
