"""Procrastinate on PostgreSQL."""

import os
from collections.abc import Sequence

import psycopg
from procrastinate import App, PsycopgConnector

from bench.peers.program import EMAIL, URL, witness

#: As many side by side as Failsoft's Dramatiq worker has threads; by default it is one.
CONCURRENCY = 8
#: libpq's form of the address.
DSN = os.environ[URL].replace("+psycopg", "")

app = App(connector=PsycopgConnector(conninfo=DSN))


@app.task(name="no_op")
async def no_op(number: int, email: str) -> int:
    """Note the run."""
    return witness(number)


class Producer:
    """Defers from a program without a loop of its own."""

    def __init__(self) -> None:
        self._database = psycopg.connect(DSN, autocommit=True)
        app.open()
        if self._database.execute("SELECT to_regclass('procrastinate_jobs')").fetchone() == (None,):
            app.schema_manager.apply_schema()

    def enqueue(self, number: int) -> object:
        """Defer one job."""
        return no_op.defer(number=number, email=EMAIL)

    def many(self, numbers: Sequence[int]) -> object:
        """Defer jobs in one statement."""
        return no_op.batch_defer(*({"number": each, "email": EMAIL} for each in numbers))

    def ended(self) -> int:
        """Return how many jobs have succeeded."""
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
        return self._database.execute(query).fetchone()[0]


def work() -> None:
    """Work until ended."""
    app.run_worker(concurrency=CONCURRENCY)
