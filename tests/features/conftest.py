"""The deployment of the features tests: real processes, both engines and both ledgers.

To add a test of a feature:

1. Put its jobs into `tests/features/jobs/<area>/`, on the queue `QUEUE.name` of
   `tests/features/queues.py`. The workers import every module of that folder; job names are one
   name space, so begin them with the feature's name.
2. Write `tests/features/<area>/test_<feature>.py`. A test takes the fixture `deployment`, and runs
   for RQ on SQLite and for Dramatiq on PostgreSQL; with `-m long` the other way round, too.
   `deployment.dispatch(job, payload, **options)` dispatches to the test's engine,
   `deployment.wait_for(handle, state)` waits, `handle.result()` is the job's. The rest is done with
   `deployment.ledger`, `.dispatcher`, `.database` and `.engine`.
3. The workers, the ledgers and the brokers serve every other test of a feature, too:
   break nothing, count only your own jobs, and make keys and names with `deployment.unique`.
   What has to break something belongs to `tests/integration/acceptance` or `tests/faults`.

Maintenance runs in the workers three times a second, so a delay of 300 ms is waited for as
gladly as one of a day: keep spans that short, and a test under a second.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.ledger import Database
from failsoft.ledger.verify import verify
from tests.deployments.shared import EngineDeployment, SharedDeployment, built
from tests.servers.postgresql.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

FOLDER = Path(__file__).parent
#: What is built in this session.
SHARED: list[SharedDeployment] = []


@pytest.fixture(scope="session")
def features_engines(
    rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """RQ's Valkey, and Dramatiq's virtual host."""
    folder = tmp_path_factory.mktemp("features")
    vhost = "features"
    with Valkey(folder / "valkey") as valkey:
        yield {
            "FAILSOFT_REDIS_URL": valkey.url,
            "FAILSOFT_AMQP_URL": rabbitmq.add_vhost(vhost),
        }
        rabbitmq.delete_vhost(vhost)


@pytest.fixture(scope="session")
def sqlite_shared(
    features_engines: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedDeployment]:
    folder = tmp_path_factory.mktemp("features-sqlite")
    yield from _shared("sqlite", f"sqlite:///{folder / 'ledger.db'}", folder, features_engines)


@pytest.fixture(scope="session")
def postgresql_shared(
    features_engines: dict[str, str],
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SharedDeployment]:
    folder = tmp_path_factory.mktemp("features-postgresql")
    url = postgres.create_database("features")
    yield from _shared("postgresql", url, folder, features_engines)
    postgres.drop_database("features")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """End the workers where the next test is of another folder.

    A worker that waits for jobs takes a thirtieth of a processor; the rest of a session would pay
    for all of them. The next test of a feature starts the workers that it needs.
    """
    try:
        if nextitem is None or FOLDER not in nextitem.path.parents:
            for shared in SHARED:
                if shared.workers:
                    assert_sound(shared)
                    shared.end_workers()
    finally:
        yield


def assert_sound(shared: SharedDeployment) -> None:
    """While the workers are at work: what is in use must not look broken."""
    # With a connection of its own, as the command has: other tests restart the server.
    with closing(Database(shared.env["FAILSOFT_LEDGER_URL"])) as database:
        batches = verify(database)
        assert [found for checked in batches for found in checked.violations] == []


#: Both engines and both ledgers; the other two pairs run with `-m long`.
DEPLOYMENTS = (
    ("rq", "sqlite"),
    ("dramatiq", "postgresql"),
    pytest.param(("rq", "postgresql"), marks=pytest.mark.long),
    pytest.param(("dramatiq", "sqlite"), marks=pytest.mark.long),
)


@pytest.fixture(params=DEPLOYMENTS, ids="-".join)
def deployment(request: pytest.FixtureRequest) -> EngineDeployment:
    """One engine and one ledger, with a worker of the engine at work."""
    engine, ledger = request.param
    shared: SharedDeployment = request.getfixturevalue(f"{ledger}_shared")
    shared.start_worker(engine)
    shared.check()
    return EngineDeployment(shared, engine)


def _shared(
    kind: str, ledger_url: str, folder: Path, engines: dict[str, str]
) -> Iterator[SharedDeployment]:
    # One namespace a ledger: they share the brokers.
    own = {"FAILSOFT_LEDGER_URL": ledger_url, "FAILSOFT_NAMESPACE": f"features-{kind}"}
    with built(folder, {**engines, **own}) as shared:
        SHARED.append(shared)
        yield shared
        SHARED.remove(shared)
