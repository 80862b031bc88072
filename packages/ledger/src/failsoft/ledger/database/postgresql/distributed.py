"""Servers that speak PostgreSQL's protocol and do not keep what the ledger builds on.

Refused when the first connection is made, because they would start and then break a promise: each
ignores a lock, or judges a lease by several clocks. See docs/how-to/scale.md.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from failsoft.job_engine.errors import ConfigurationError

#: What the server says of itself, and which extensions the database has.
LOOK = """
    SELECT pg_catalog.version(), ARRAY(SELECT extname::text FROM pg_catalog.pg_extension)
"""
#: By what `version()` contains: the product, and what it does otherwise than PostgreSQL.
BY_VERSION: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "CockroachDB": (
            "CockroachDB",
            (
                "its advisory locks lock nothing, so limits and unique keys would not hold, and "
                "its leases would be judged by the clocks of several nodes"
            ),
        ),
        "-YB-": (
            "YugabyteDB",
            (
                "its leases would be judged by the clocks of several nodes, and its advisory locks "
                "lock only where they are switched on"
            ),
        ),
    }
)
#: By the extension.
BY_EXTENSION: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "citus": (
            "Citus",
            (
                "its advisory locks hold on one coordinator only, and a unique index must contain "
                "the column that it distributes by, so keys and limits would not hold"
            ),
        )
    }
)


def refuse_distributed(version: str, extensions: Collection[str]) -> None:
    """Refuse a server that the ledger cannot be on.

    Args:
        version: What its `version()` returns.
        extensions: The extensions of the database.

    Raises:
        ConfigurationError: It is one; the message says why, and what to use.
    """
    found = next((of for mark, of in BY_VERSION.items() if mark in version), None)
    found = found or next((BY_EXTENSION[each] for each in BY_EXTENSION if each in extensions), None)
    if found is not None:
        product, reason = found
        raise ConfigurationError(
            f"expected PostgreSQL itself for the ledger, got {product}: {reason}; name a database "
            "without it in FAILSOFT_LEDGER_URL, and divide a load that one server does not carry "
            "among several ledgers with FAILSOFT_LEDGERS"
        )


def expect_one_server(driver: Any) -> None:
    """Refuse the server of a connection of psycopg's if the ledger cannot be on it.

    Raises:
        ConfigurationError: It cannot.
    """
    version, extensions = driver.execute(LOOK, prepare=False).fetchone()
    refuse_distributed(version, extensions)
