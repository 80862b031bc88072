"""The database of the shop: the ledger's own, so that an order and its job are one commit."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache

from fastapi import FastAPI
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from shop.tables import Product, Table

CATALOGUE = (
    Product(sku="kettle", title="A kettle", cents=4900, stock=3),
    Product(sku="cup", title="A cup", cents=900, stock=12),
)


def url() -> URL:
    """Return the ledger's URL, with the driver of PostgreSQL named for SQLAlchemy."""
    given = make_url(os.environ.get("FAILSOFT_LEDGER_URL", "sqlite:///.failsoft/ledger.db"))
    is_sqlite = given.get_backend_name() == "sqlite"
    return given if is_sqlite else given.set(drivername="postgresql+psycopg")


@cache
def engine() -> Engine:
    """Return the connections of jobs."""
    return create_engine(url())


@cache
def async_engine() -> AsyncEngine:
    """Return the connections of requests."""
    given = url()
    is_sqlite = given.get_backend_name() == "sqlite"
    return create_async_engine(given.set(drivername="sqlite+aiosqlite") if is_sqlite else given)


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session for one step of a job, and commit it unless the step raises."""
    with Session(engine()) as session, session.begin():
        yield session


async def get_session() -> AsyncIterator[AsyncSession]:
    """Open the session of a request; what it does not commit is rolled back."""
    # What it has read stays readable after the commit: a request answers with it.
    async with AsyncSession(async_engine(), expire_on_commit=False) as session:
        yield session


def prepare() -> None:
    """Make the tables, and put the catalogue into them the first time."""
    Table.metadata.create_all(engine())
    with transaction() as session:
        if session.get(Product, CATALOGUE[0].sku) is None:
            for each in CATALOGUE:
                session.merge(each)


@asynccontextmanager
async def tables(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables when the app starts, and close its connections when it ends."""
    prepare()
    yield
    await async_engine().dispose()
