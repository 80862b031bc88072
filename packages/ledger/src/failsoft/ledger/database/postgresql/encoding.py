"""The encoding of a ledger's database: every text must find a place in it (decision 0034)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from failsoft.job_engine.errors import ConfigurationError

#: What clients send, whatever PGCLIENTENCODING or the role says.
CLIENT = "utf8"


def expect_utf8(connection: Connection) -> None:
    """Refuse a database on PostgreSQL that cannot hold every text.

    Raises:
        ConfigurationError: If its encoding is not UTF-8.
    """
    driver: Any = connection.connection.dbapi_connection
    # The server reports it at the start of each session, without a query.
    found = driver.pgconn.parameter_status(b"server_encoding")
    if found not in (None, b"UTF8"):
        raise ConfigurationError(
            f"expected a database in UTF8, got one in {found.decode(errors='replace')}, which "
            "cannot hold every text; create another, as with CREATE DATABASE … ENCODING 'UTF8' "
            "TEMPLATE template0, and name it in FAILSOFT_LEDGER_URL or DATABASE_URL"
        )


def expect_utf8_client(*settings: Mapping[str, Any]) -> None:
    """Refuse settings of the user's by which texts would be sent in another encoding.

    Raises:
        ConfigurationError: If one is another.
    """
    for each in settings:
        found = each.get("client_encoding", CLIENT)
        if str(found).lower().replace("-", "").replace("_", "") not in (CLIENT, "unicode"):
            raise ConfigurationError(
                "expected client_encoding=utf8 in the URL of FAILSOFT_LEDGER_URL or "
                f"DATABASE_URL, got {found}; take it out: the ledger sets it"
            )
