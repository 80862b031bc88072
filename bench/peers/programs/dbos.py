"""DBOS on PostgreSQL or SQLite: workflows through a queue, and workflows of ten steps."""

import os
from collections.abc import Sequence
from threading import Event

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from sqlalchemy import create_engine, text

from bench.peers.program import EMAIL, STEPS, URL, witness

APPLICATION = "bench"
QUEUE = "bench"
#: DBOS's default is a second, for which every batch would wait at its beginning.
POLL_SECONDS = 0.1


@DBOS.workflow(name="no_op")
def no_op(number: int, email: str) -> int:
    """Note the run."""
    return witness(number)


@DBOS.step()
def one_more(number: int) -> int:
    """Do next to nothing: what is measured is the keeping of it."""
    return number + 1


@DBOS.workflow(name="ten_steps")
def ten_steps(number: int) -> int:
    """Take ten steps, and note the run."""
    for _ in range(STEPS):
        number = one_more(number)
    return witness(number - STEPS)


def _launch(*, queues: Sequence[str]) -> None:
    config = DBOSConfig(
        name=APPLICATION,
        system_database_url=os.environ[URL],
        application_version="1",
        log_level="WARNING",
    )
    DBOS(config=config)
    DBOS.listen_queues([*queues])
    DBOS.launch()


class Producer:
    """Enqueues workflows by a client, as a program that is no worker does."""

    def __init__(self) -> None:
        # Launched once, DBOS has made its tables.
        _launch(queues=())
        DBOS.destroy()
        self._client = DBOSClient(system_database_url=os.environ[URL], application_name=APPLICATION)
        self._database = create_engine(os.environ[URL])
        name = (
            "workflow_status" if self._database.dialect.name == "sqlite" else "dbos.workflow_status"
        )
        self._query = text(f"SELECT count(*) FROM {name} WHERE status = 'SUCCESS'")  # noqa: S608 - one of two

    def enqueue(self, number: int) -> object:
        """Enqueue one workflow."""
        return self._client.enqueue(_options("no_op"), number, EMAIL)

    def many(self, numbers: Sequence[int]) -> None:
        """Enqueue workflows in one transaction: DBOS has no call of its own for many."""
        with self._database.begin() as connection:
            for number in numbers:
                self._client.enqueue_in_transaction(connection, _options("no_op"), number, EMAIL)

    def steps(self, number: int) -> object:
        """Enqueue one workflow of ten steps."""
        return self._client.enqueue(_options("ten_steps"), number)

    def ended(self) -> int:
        """Return how many workflows have succeeded."""
        with self._database.connect() as connection:
            return int(connection.execute(self._query).scalar_one())


def _options(name: str) -> EnqueueOptions:
    return {"queue_name": QUEUE, "workflow_name": name}


def work() -> None:
    """Work until ended."""
    _launch(queues=[QUEUE])
    DBOS.register_queue(QUEUE, polling_interval_sec=POLL_SECONDS)
    Event().wait()
