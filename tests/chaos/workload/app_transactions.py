"""What the app under test writes by an engine of its own, on the ledger's database.

It has connections that the ledger knows nothing of: opened, used and closed again for each order.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    insert,
    make_url,
    select,
)

from failsoft.ledger.database.database import Database, ledger_url

_METADATA = MetaData()
_ORDERS = Table("chaos_orders", _METADATA, Column("label", Text, nullable=False))


def make_table(database: Database) -> None:
    """Make the app's table in the ledger's database."""
    database.write(_METADATA.create_all)


@contextmanager
def ordering(label: str) -> Iterator[Connection]:
    """Write an order by an engine of the app's own, and commit it with what the block does."""
    with _engine().begin() as connection:
        connection.execute(insert(_ORDERS).values(label=label))
        yield connection


def orders_in(database: Database) -> list[str]:
    """Return the label of every order."""
    statement = select(_ORDERS.c.label)
    return list(database.read(lambda connection: connection.execute(statement).scalars().all()))


@cache
def _engine() -> Engine:
    url = ledger_url(os.environ["FAILSOFT_LEDGER_URL"])
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        options = {"connect_timeout": 2}
    if "pooler" in url.query:
        url = make_url(url).difference_update_query(["pooler"])
        options["prepare_threshold"] = None
    # Nothing is kept open, so that nothing is anybody's after a fork.
    return create_engine(url, poolclass=NullPool, connect_args=options)
