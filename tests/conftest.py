"""Real servers on private ports, each started when a test first uses it."""

import gc
import os
import re
import shutil
import signal
import uuid
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from zlib import crc32

import psutil
import pytest
from hypothesis import settings
from sqlalchemy import Connection, delete
from xdist.workermanage import WorkerController

from failsoft.ledger import Database
from failsoft.ledger.ledger_id import LEDGER_ID
from failsoft.ledger.schema.revision import HOST
from failsoft.ledger.schema.tables import info, signing_keys
from failsoft.ledger.upgrade.run import upgrade
from tests import environment
from tests.deployments.shared import EngineDeployment
from tests.order import SESSION, Shares, in_order, shares
from tests.servers.fork_server import COMMAND_LINE, WORKER, ForkServer
from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.postgresql.postgres_pair import PostgresPair
from tests.servers.processes import PATIENCE, Processes, end, offspring, wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.server import Server
from tests.servers.valkey import Valkey

S = TypeVar("S", bound=Server)
RUN = "_FAILSOFT_TEST_RUN"
#: The folders whose tests start whole processes.
WHOLE = {"integration", "faults", "docs", "contrib"}
#: What such a test may be played with: one of each is enough.
WAYS = ("ledger_url", "empty_ledger_url", "engine", "fallback_url", "job", "queue", "way")
#: The suites of an engine on each of its brokers, and of the ledger as an engine on each database.
_BROKER = re.compile(r"(?P<engine>TestDramatiq\w+)On(?P<broker>Valkey|Rabbitmq|QuorumQueues)")
_DATABASE = re.compile(r"Test(?P<database>Postgres|Sqlite)(?P<half>Engine|Worker)")
#: The suites of engines beside those that a program has unless it says otherwise.
_OTHER = re.compile(r"Test(?P<engine>Celery|File|Inngest|Kafka|Nats)(?P<half>Engine|Worker)\w*")

# How long an example takes is the machine's, and no test is timed.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_collection() -> None:
    """Look for no garbage while tests are collected: there is none, and a million objects stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let no later collection of garbage look through the tests themselves."""
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    # Once for all, before anything reads it and before a process inherits it.
    environment.forget()
    # A shell's background job ignores SIGINT, and so would every program that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fail the run if it leaves a process behind; set up first, so checked last."""
    run = uuid.uuid4().hex
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUN, run)
        yield

    left = _left_running(run)
    names = [" ".join(each.cmdline()) for each in left]
    end(left)
    assert not names, f"expected no process to be left running, got {names}"


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One node for the session; it is whole again after each test that uses it."""
    yield from _serving(RabbitMQ(tmp_path_factory.mktemp("rabbitmq")))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the session, without fsync; it is whole again after each test."""
    with _open_folder("postgres") as folder:
        yield from _serving(Postgres(folder, fast=True))


@pytest.fixture(scope="session")
def postgres_pair() -> Iterator[PostgresPair]:
    """A primary and a replica of their own; both are whole again after each test."""
    with _open_folder("postgres-pair") as folder:
        yield from _serving(PostgresPair(folder, fast=True))


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """A pooler in transaction mode before the session's PostgreSQL."""
    with _open_folder("pgbouncer") as folder:
        yield from _serving(PgBouncer(folder, postgres.port))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def second_valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "second-valkey") as server:
        yield server


@pytest.fixture
def amqp_url(rabbitmq: RabbitMQ) -> Iterator[str]:
    """An empty virtual host."""
    name = f"test-{uuid.uuid4().hex}"
    yield rabbitmq.add_vhost(name)
    rabbitmq.delete_vhost(name)


@pytest.fixture
def postgres_url(postgres: Postgres, tables_on_postgres: str) -> Iterator[str]:
    """A database of its own, with the tables of a ledger."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.create_database(name, template=tables_on_postgres)
    postgres.drop_database(name)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def tables_on_postgres(postgres: Postgres) -> str:
    """The name of a database that is no ledger yet, but has the tables of one."""
    name = "tables"
    _make_tables(postgres.create_database(name))
    return name


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    """Let each play be played once, where chance has it by its name; long files go first.

    On every ledger, with every broker of an engine and on every engine, with `-m long`.
    """
    plays: dict[str, dict[pytest.Function, str]] = defaultdict(dict)
    for item in items:
        is_long = item.get_closest_marker("long") is not None
        if isinstance(item, pytest.Function) and not is_long and (found := _play_of(item)):
            play, way = found
            plays[play][item] = way
    for play, ways in plays.items():
        kinds = sorted(set(ways.values()))
        played = kinds[(crc32(play.encode()) + 1) % len(kinds)]
        for item, way in ways.items():
            if way != played:
                item.add_marker(pytest.mark.long)
    yield
    if (share := _share_of(config)) is not None:
        items[:] = in_order(items, share)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker of a run of all tests which files are its own, and which are others'."""
    if (workers := _workers_of_all(node.config)) is not None:
        divided = shares(workers)
        own = divided.pop(int(node.gateway.id.removeprefix("gw")) % workers)
        node.workerinput["share"] = own
        node.workerinput["elsewhere"] = [file for share in divided for file in share]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> Shares | None:
    workers = _workers_of_all(config)
    return None if workers is None else Shares(config, workers)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the files of other workers to them."""
    elsewhere = getattr(config, "workerinput", {}).get("elsewhere", ())
    return str(collection_path.relative_to(config.rootpath)) in elsewhere or None


def _workers_of_all(config: pytest.Config) -> int | None:
    """Return how many workers run all tests; None in a run of some, or without workers."""
    is_of_all = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return config.getoption("numprocesses", None) if is_of_all else None


def _share_of(config: pytest.Config) -> list[str] | None:
    share: list[str] | None = getattr(config, "workerinput", {}).get("share")
    return share


def _play_of(item: pytest.Function) -> tuple[str, str] | None:
    """Return what is played more than once, and in which way here; None of all other tests."""
    name = f"{item.path.name}::{item.originalname}"
    if item.cls is not None:
        if broker := _BROKER.fullmatch(item.cls.__name__):
            return f"{name} of {broker['engine']}", broker["broker"]
        if database := _DATABASE.fullmatch(item.cls.__name__):
            return f"{name} of {database['half']}", database["database"]
        if other := _OTHER.fullmatch(item.cls.__name__):
            return f"{item.originalname} of {other['half']}", other["engine"]
    if hasattr(item, "callspec") and WHOLE & set(item.path.relative_to(item.config.rootpath).parts):
        indices = item.callspec.indices
        return name, " ".join(f"{way} {indices[way]}" for way in WAYS if way in indices)
    return None


@pytest.fixture
def sqlite_url(tmp_path: Path, tables_on_sqlite: Path) -> str:
    """A file of its own, with the tables of a ledger."""
    return f"sqlite:///{shutil.copy(tables_on_sqlite, tmp_path / 'ledger.db')}"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(scope="session")
def tables_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is no ledger yet, but has the tables of one."""
    file = tmp_path_factory.mktemp("tables") / "ledger.db"
    _make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """A database with the tables of a ledger, of each kind that can hold one.

    To upgrade it takes a hundredth of what it takes to make the tables.
    """
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(fixture))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_ledger_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind that can hold a ledger."""
    fixture = {"sqlite": "empty_sqlite_url", "postgresql": "empty_postgres_url"}[request.param]
    return str(request.getfixturevalue(fixture))


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Forks the workers of a session."""
    with ForkServer(*WORKER) as started:
        yield started


@pytest.fixture(scope="session")
def command_server() -> Iterator[ForkServer]:
    """Forks the commands of a session."""
    with ForkServer(*COMMAND_LINE) as started:
        yield started


@pytest.fixture
def processes(tmp_path: Path, fork_server: ForkServer) -> Iterator[Processes]:
    """Starts processes that end with the test."""
    started = Processes(tmp_path, fork_server)
    yield started
    started.end()


@pytest.fixture
def proxy_to() -> Iterator[Callable[[int], TcpProxy]]:
    """Puts a proxy before a port."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(closing(TcpProxy(port)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Heal the session's servers before the fixtures clean up in them."""
    for value in _fixtures(item):
        if isinstance(value, Server):
            value.heal()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of a failed test's servers and processes."""
    report = yield
    if report.failed:
        report.sections += [(str(log), _tail(log)) for log in _logs(item) if log.exists()]
    return report


def _make_tables(url: str) -> None:
    """Make the tables of a ledger, and let the first upgrade give it what is its own."""
    with closing(Database(url)) as database:
        upgrade(database)
        database.write(_forget_who_it_is)


def _forget_who_it_is(connection: Connection) -> None:
    connection.execute(delete(signing_keys))
    connection.execute(delete(info).where(info.c.key.in_((LEDGER_ID, HOST))))


@contextmanager
def _open_folder(name: str) -> Iterator[Path]:
    # Not a tmp_path: under root its server runs as another user, who cannot enter that.
    prefix = f"failsoft-{name}-"
    with TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _serving(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _left_running(run: str) -> list[psutil.Process]:
    try:
        wait_until(lambda: not _offspring_but_us(run), PATIENCE, "all processes have ended")
    except AssertionError:
        return _offspring_but_us(run)
    return []


def _offspring_but_us(run: str) -> list[psutil.Process]:
    ours = offspring(RUN, {run: os.getpid()})
    return [each for each in ours if each.pid != os.getpid() and not _is_pythons_own(each)]


def _is_pythons_own(process: psutil.Process) -> bool:
    # multiprocessing starts it once and leaves it until the interpreter ends.
    return any("multiprocessing.resource_tracker" in word for word in process.cmdline())


def _fixtures(item: pytest.Item) -> list[object]:
    return list(getattr(item, "funcargs", {}).values())


def _logs(item: pytest.Item) -> Iterator[Path]:
    for value in _fixtures(item):
        if isinstance(value, Server | Valkey):
            yield value.log
        processes = value.processes if isinstance(value, EngineDeployment) else value
        if isinstance(processes, Processes):
            yield from (each.log for each in processes.started)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])
