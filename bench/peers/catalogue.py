"""The systems that stand in the table: what is installed for each, and what it keeps of a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SQLITE, POSTGRESQL = "sqlite", "postgresql"
VALKEY, RABBITMQ = "valkey", "rabbitmq"


@dataclass(frozen=True, slots=True)
class System:
    """A system, its versions, and how much it is given to do.

    Attributes:
        name: What it is called in the table.
        program: Its module in the folder `programs`.
        packages: What is installed in its environment, by exact versions; empty for the checkout.
        server: What its jobs travel through: `valkey`, `rabbitmq` or none but the database.
        database: What it keeps its jobs in; empty if nowhere but with the server.
        loses: What is lost of a job that was accepted, when a process or a server is killed.
        jobs: How many a drain has: about a second's worth of one worker process.
        engine: Of Failsoft.
        arguments: Of its worker.
        processes: Workers side by side.
        has_bulk: Whether it has a call that enqueues many.
    """

    name: str
    program: str
    packages: tuple[str, ...] = ()
    server: str = ""
    database: str = ""
    loses: str = ""
    jobs: int = 1000
    engine: str = ""
    arguments: tuple[str, ...] = field(default=())
    processes: int = 1
    has_bulk: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is Failsoft."""
        return self.program == "failsoft"


RQ = ("rq==3.0.0", "redis==8.1.0")
DRAMATIQ = ("dramatiq==2.2.1", "pika==1.4.4")
HUEY = ("huey==3.5.4", "redis==8.1.0")
TASKIQ = ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0")
CELERY = ("celery[redis]==5.7.0", "redis==8.1.0")
PROCRASTINATE = ("procrastinate==3.10.0", "psycopg[binary]==3.3.9")
DBOS = ("dbos==3.4.0", "psycopg[binary]==3.3.9")

WITH_REDIS = "with Redis, what Redis had not yet written to disk"
NOTHING = "nothing: a job cut off goes on after its last step, a lost broker costs time"

WORKER, SIMPLE, RAW_DRAMATIQ = "RQ, Worker", "RQ, SimpleWorker", "Dramatiq, RabbitMQ"
PROCRASTINATE_NAME = "Procrastinate, PostgreSQL"
ON: Mapping[str, str] = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL"}


def ours(engine: str, ledger: str, processes: int = 1) -> str:
    """Return the name of a system of ours."""
    name = {"rq": "RQ", "dramatiq": "Dramatiq"}[engine]
    more = f", {processes} processes" if processes > 1 else ""
    return f"Failsoft, {name} + {ON[ledger]}{more}"


def dbos(database: str) -> str:
    """Return the name of DBOS on a database."""
    return f"DBOS, {ON[database]}"


def _ours(engine: str, ledger: str, processes: int = 1) -> System:
    return System(
        ours(engine, ledger, processes),
        "failsoft",
        server=VALKEY if engine == "rq" else RABBITMQ,
        database=ledger,
        loses=NOTHING,
        jobs=1000 * processes,
        engine=engine,
        processes=processes,
        has_bulk=True,
    )


def _dbos(database: str) -> System:
    loses = "nothing: a workflow cut off goes on after its last step"
    return System(dbos(database), "dbos", DBOS, database=database, loses=loses, has_bulk=True)


SYSTEMS: tuple[System, ...] = (
    System(
        WORKER,
        "rq",
        RQ,
        server=VALKEY,
        loses=f"{WITH_REDIS}; a job cut off is marked failed, not run again",
        jobs=60,
    ),
    System(
        SIMPLE,
        "rq",
        RQ,
        server=VALKEY,
        loses=f"{WITH_REDIS}; a job cut off is marked failed, not run again",
        jobs=400,
        arguments=("simple",),
        has_bulk=True,
    ),
    System(
        RAW_DRAMATIQ,
        "dramatiq",
        DRAMATIQ,
        server=RABBITMQ,
        loses="with RabbitMQ's disk, everything; a job cut off runs again from its beginning",
        jobs=3000,
    ),
    System(
        "Huey, Redis",
        "huey",
        HUEY,
        server=VALKEY,
        loses=f"{WITH_REDIS}; a job cut off: it was taken off the list, nothing is acknowledged",
        jobs=3000,
    ),
    System(
        "Taskiq, Redis stream",
        "taskiq",
        TASKIQ,
        server=VALKEY,
        loses=f"{WITH_REDIS}; a job cut off runs again after ten minutes",
        jobs=2000,
    ),
    System(
        "Celery, Redis, acks late",
        "celery",
        CELERY,
        server=VALKEY,
        loses=f"{WITH_REDIS}; a job cut off runs again after an hour",
    ),
    System(
        PROCRASTINATE_NAME,
        "procrastinate",
        PROCRASTINATE,
        database=POSTGRESQL,
        loses="nothing; a job cut off waits until a program of yours retries it",
        jobs=500,
        has_bulk=True,
    ),
    _dbos(POSTGRESQL),
    _dbos(SQLITE),
    _ours("rq", SQLITE),
    _ours("rq", POSTGRESQL),
    _ours("dramatiq", SQLITE),
    _ours("dramatiq", POSTGRESQL),
    _ours("rq", SQLITE, processes=2),
    _ours("rq", POSTGRESQL, processes=2),
)
