"""F41: a PostgreSQL that answers nothing, on an open connection or while it is connected to."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Connection, text

from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.time_limit import STUCK_SECONDS
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.records.job import Ticket, WorkerRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.steps.context import JobContext
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exit_codes import TRY_AGAIN
from failsoft.worker.wiring import build
from tests.deployments.deployment import Deployment
from tests.faults.support import ON_POSTGRESQL, through_proxy
from tests.integration.cli.command_line import FAILSOFT
from tests.jobs.scripted import Script, in_thread
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, Processes, wait_until
from tests.servers.proxy import TcpProxy
from tests.unit.support.attempts import define

#: What the calls may take here; they took for ever, so a busy machine may take some times longer.
LIMIT = timedelta(seconds=1)
BOUND = 30.0
HALF_A_SECOND = timedelta(seconds=0.5)

Call = Callable[[SqlLedger], object]
WORKER = WorkerRecord("boot", "rq", "default", "here", 1, 1)
TICKET = Ticket("job", 1, "rq", "default", "claim", "here", LIMIT)
CALLS: dict[str, Call] = {
    "dispatch": lambda ledger: ledger.record_job(fixtures.new_job(), fixtures.plan()),
    "dispatch many": lambda ledger: ledger.record_jobs([(fixtures.new_job(), fixtures.plan())]),
    "claim": lambda ledger: ledger.claim(TICKET),
    "beat": lambda ledger: ledger.beat(WORKER, LIMIT),
    "retire": lambda ledger: ledger.retire("boot"),
    "rescue": lambda ledger: ledger.unclaimed(10),
    "look": lambda ledger: ledger.live_workers(),
    "count": lambda ledger: ledger.counts(),
}


@pytest.fixture(scope="module")
def upgraded(postgres: Postgres) -> Iterator[str]:
    url = postgres.create_database("silent")
    with closing(Database(url)) as database:
        upgrade(database)
    yield url
    postgres.drop_database("silent")


@pytest.fixture
def database(upgraded: str, postgres: Postgres, proxy_to_postgres: TcpProxy) -> Iterator[Database]:
    url = through_proxy(upgraded, postgres.port, proxy_to_postgres)
    with closing(Database(url, limit=LIMIT)) as database:
        yield database


@pytest.fixture
def silent_url(deployment: Deployment, postgres: Postgres, proxy_to_postgres: TcpProxy) -> str:
    """The deployment's ledger by a proxy that may fall silent."""
    return through_proxy(load_settings().ledger_url, postgres.port, proxy_to_postgres)


def all_given_up(ledger: SqlLedger) -> None:
    """Make every call side by side, and see each of them end in time."""
    began = monotonic()
    with ThreadPoolExecutor(len(CALLS)) as threads:
        made = {name: threads.submit(call, ledger) for name, call in CALLS.items()}
        raised = {name: each.exception(PATIENCE) for name, each in made.items()}
    assert {type(each) for each in raised.values()} == {LedgerUnavailableError}, raised
    assert monotonic() - began < BOUND


@pytest.mark.fault("F41")
@pytest.mark.parametrize("first", ["connected", "connecting"])
def test_every_call_of_the_ledger_ends_and_the_next_ones_do_what_they_should(
    database: Database, proxy_to_postgres: TcpProxy, first: str
) -> None:
    ledger = SqlLedger(database, actor="tests")
    if first == "connected":
        with ThreadPoolExecutor(len(CALLS)) as threads:
            list(threads.map(lambda _: ledger.live_workers(), CALLS))

    proxy_to_postgres.swallow_replies()
    all_given_up(ledger)
    proxy_to_postgres.heal()

    assert ledger.record_job(fixtures.new_job(), fixtures.plan())[1]


@pytest.mark.fault("F41")
def test_a_frozen_server_is_given_up_and_its_connections_with_it(
    upgraded: str, postgres: Postgres
) -> None:
    with closing(Database(upgraded, limit=LIMIT)) as database:
        ledger = SqlLedger(database, actor="tests")
        kept = database.ask(lambda raw: raw)
        ledger.live_workers()

        postgres.freeze()
        all_given_up(ledger)
        postgres.thaw()

        assert not kept.connection.is_valid
        ledger.beat(WORKER, LIMIT)


@pytest.mark.fault("F41")
def test_a_name_server_that_answers_nothing_is_given_up(
    upgraded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    found = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if host != "ledger.test":
            return found(host, *rest, **options)
        over.wait(PATIENCE)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = upgraded.replace("127.0.0.1", "ledger.test")
    began = monotonic()
    try:
        away = pytest.raises(LedgerUnavailableError, match="name server")
        with closing(Database(url, limit=LIMIT)) as database, away:
            SqlLedger(database).live_workers()
    finally:
        over.set()
    assert monotonic() - began < BOUND


@pytest.mark.fault("F41")
def test_a_server_that_takes_its_time_is_distinguished_from_a_silent_one(
    database: Database,
) -> None:
    kept = database.ask(lambda raw: raw.connection.dbapi_connection)

    with pytest.raises(LedgerUnavailableError, match="statement timeout"):
        database.write(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(60)"))

    # It has answered: there is nothing wrong with the connections.
    assert database.ask(lambda raw: raw.connection.dbapi_connection) is kept


@pytest.mark.fault("F41")
@ON_POSTGRESQL
def test_a_command_says_so_and_ends_with_75(
    deployment: Deployment, silent_url: str, proxy_to_postgres: TcpProxy, processes: Processes
) -> None:
    url = silent_url
    proxy_to_postgres.swallow_replies()

    env = {"FAILSOFT_LEDGER_URL": url, "FAILSOFT_LEDGER_TIMEOUT": "1s"}
    command = processes.start(FAILSOFT, "jobs", "list", env=env)

    assert command.wait(PATIENCE) == TRY_AGAIN
    assert "LedgerUnavailableError: expected the ledger's database to answer" in command.output


@pytest.mark.fault("F41")
@ON_POSTGRESQL
@pytest.mark.parametrize("engine", ["rq", "maintenance"])
def test_a_stop_ends_within_its_grace(
    deployment: Deployment, silent_url: str, proxy_to_postgres: TcpProxy, gate: Path, *, engine: str
) -> None:
    url = silent_url
    settings = {"FAILSOFT_LEDGER_URL": url, "FAILSOFT_SHUTDOWN_GRACE": "2s"}
    worker = deployment.worker(engine, in_thread.queue.name, **settings)
    if engine == "rq":
        deployment.wait_for(worker)
        running = deployment.dispatch(
            in_thread, Script(steps=2, halt_at=1, gate=str(gate)), engines=("rq",)
        )
        deployment.wait_for_step(running, "step-1")
    else:
        worker.process.wait_for_output("worker.start")
        wait_until(lambda: proxy_to_postgres.connections > 0, PATIENCE, "it looks at the ledger")

    proxy_to_postgres.swallow_replies()
    began = monotonic()
    worker.process.terminate(PATIENCE)

    # Without a bound it would wait for as long as the server says nothing.
    assert monotonic() - began < BOUND


@pytest.mark.fault("F41")
@ON_POSTGRESQL
def test_a_dispatch_ends_within_its_budget_and_one_try(
    deployment: Deployment, silent_url: str, proxy_to_postgres: TcpProxy
) -> None:
    url = silent_url
    app = build(load_settings(ledger_url=url, ledger_timeout=LIMIT))
    with closing(app.ledger.database), closing(app.dispatcher):
        app.dispatcher.dispatch(in_thread, Script(), delay=timedelta(hours=1))
        proxy_to_postgres.swallow_replies()

        began = monotonic()
        with pytest.raises(LedgerUnavailableError):
            app.dispatcher.dispatch(in_thread, Script(), delay=timedelta(hours=1))
        assert monotonic() - began < BOUND


def attempt(database: Database, work: Callable[[Connection], str]) -> tuple[JobState | None, int]:
    """Run a job whose `tx` step may take half a second; return its end and its errors."""

    def body(ctx: JobContext) -> str:
        return ctx.run("pay", work, tx=True, timeout=HALF_A_SECOND)

    ledger = SqlLedger(database, actor="tests")
    claim = fixtures.started(ledger)
    catalogue = Catalogue([define(body, name="send_welcome")])
    ended = Executor(ledger, catalogue, SystemClock()).run(claim, Lease(interrupt_thread))
    return ended, ledger.get(claim.job_id).errors


@pytest.mark.fault("F41", "F44")
def test_the_time_of_a_silent_ledger_is_not_that_of_a_step_in_its_transaction(
    upgraded: str, postgres: Postgres
) -> None:
    def work(connection: Connection) -> str:
        postgres.freeze()
        # Long after the step would have been interrupted, and given up.
        thaw = threading.Timer(HALF_A_SECOND.total_seconds() + 2 * STUCK_SECONDS, postgres.thaw)
        thaw.start()
        connection.execute(text("SELECT 1"))
        return "paid"

    with closing(Database(upgraded)) as database:
        assert attempt(database, work) == (JobState.SUCCEEDED, 0)


@pytest.mark.fault("F41", "F44")
def test_a_step_that_is_slow_in_its_transaction_pays_for_it(upgraded: str) -> None:
    over = threading.Event()

    def work(connection: Connection) -> str:
        connection.execute(text("SELECT pg_sleep(2)"))
        return "too late"

    def beat(ledger: SqlLedger) -> None:
        while not over.wait(0.1):
            ledger.beat(WORKER, LIMIT)

    with (
        closing(Database(upgraded)) as database,
        closing(Database(upgraded)) as another,
        ThreadPoolExecutor(1) as thread,
    ):
        beats = thread.submit(beat, SqlLedger(another, actor="tests"))
        assert attempt(database, work) == (JobState.SCHEDULED, 1)
        over.set()
        beats.result(PATIENCE)
