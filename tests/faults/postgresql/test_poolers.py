"""F45: PgBouncer between the ledger and PostgreSQL, in each of its modes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Event

import psycopg
import pytest

from failsoft.job_engine.errors import ConfigurationError, LedgerUnavailableError
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from failsoft.worker.exit_codes import CONFIG
from tests.integration.cli.command_line import FAILSOFT
from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, Processes

NAME = "poolers"
#: What a user adds who got the error of an unsupported startup parameter.
IGNORED = {"ignore_startup_parameters": "options,extra_float_digits"}
#: What other clients would notice of the ledger in a session that is lent to them next.
TRACES = """
    SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
           current_setting('idle_in_transaction_session_timeout'), current_setting('search_path'),
           (SELECT count(*) FROM pg_prepared_statements),
           (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
"""


@pytest.fixture(scope="module")
def direct(postgres: Postgres) -> Iterator[str]:
    url = postgres.create_database(NAME)
    with closing(Database(url)) as database:
        upgrade(database)
    yield url
    postgres.drop_database(NAME)


def traces(pgbouncer: PgBouncer, sessions: int = 4) -> set[tuple[object, ...]]:
    """Look into several sessions of the pooler's at once, as other clients."""
    found = set[tuple[object, ...]]()
    with ExitStack() as stack:
        for _ in range(sessions):
            client = stack.enter_context(
                psycopg.connect(
                    host="127.0.0.1",
                    port=pgbouncer.port,
                    dbname=NAME,
                    user="postgres",
                    prepare_threshold=None,
                )
            )
            # In a transaction each, so that none has the session of another.
            found.add(client.execute(TRACES).fetchone() or ())
    return found


@pytest.mark.fault("F45")
@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("sessions", ["1", "20"])
@pytest.mark.parametrize("settings", [{}, IGNORED], ids=["strict", "ignoring"])
def test_sessions_that_are_lent_are_refused_and_nothing_is_left_in_them(
    direct: str, pgbouncer: PgBouncer, *, mode: str, sessions: str, settings: dict[str, str]
) -> None:
    pgbouncer.set(pool_mode=mode, default_pool_size=sessions, **settings)
    url = pgbouncer.by_pooler(direct)

    for query in ("", "?options=-c%20search_path%3Dpublic"):
        refused = pytest.raises(ConfigurationError, match="pooler=transaction")
        with closing(Database(url + query)) as database, refused:
            SqlLedger(database).live_workers()

    if mode == "transaction":
        assert traces(pgbouncer, int(sessions) // 5 or 1) == {usual(direct)}


@pytest.mark.fault("F45")
def test_sessions_are_found_to_be_lent_while_others_use_them(
    direct: str, pgbouncer: PgBouncer
) -> None:
    url, over = pgbouncer.by_pooler(direct), Event()
    pgbouncer.set(default_pool_size="3")

    def use() -> None:
        with closing(Database(f"{url}?pooler=transaction")) as database:
            while not over.is_set():
                SqlLedger(database).live_workers()

    with ThreadPoolExecutor(4) as others:
        used = [others.submit(use) for _ in range(4)]
        try:
            # As often as shows a chance of one in a hundred.
            for _ in range(150):
                with closing(Database(url)) as database, pytest.raises(ConfigurationError):
                    SqlLedger(database).live_workers()
        finally:
            over.set()
        for each in used:
            each.result(PATIENCE)


@pytest.mark.fault("F45")
def test_a_command_says_what_to_do_and_ends_with_78(
    direct: str, pgbouncer: PgBouncer, processes: Processes
) -> None:
    env = {"FAILSOFT_LEDGER_URL": pgbouncer.by_pooler(direct)}

    command = processes.start(FAILSOFT, "jobs", "list", env=env)

    assert command.wait(PATIENCE) == CONFIG
    assert "add pooler=transaction to the query of FAILSOFT_LEDGER_URL" in command.output


@pytest.mark.fault("F45")
def test_the_mode_for_them_works_and_no_other_client_notices(
    direct: str, pgbouncer: PgBouncer
) -> None:
    pgbouncer.set(default_pool_size="3")
    url = (
        f"{pgbouncer.by_pooler(direct)}?pooler=transaction&options=-c%20search_path%3D%22public%22"
    )

    with closing(Database(url)) as database, ThreadPoolExecutor(8) as threads:
        ledger = SqlLedger(database, actor="tests")
        assert all(threads.map(lambda _: runs(ledger), range(100)))
        limits = database.ask(limits_of)

    assert limits == ("4s", "2s", "10s", '"public"')
    assert traces(pgbouncer, 3) == {usual(direct)}


@pytest.mark.fault("F45")
def test_sessions_of_ones_own_are_as_good_as_direct_ones(direct: str, pgbouncer: PgBouncer) -> None:
    pgbouncer.set(pool_mode="session", default_pool_size="1")
    query = "?options=-c%20statement_timeout%3D3s%20-c%20search_path%3Dpublic"

    with closing(Database(pgbouncer.by_pooler(direct) + query, pool=1)) as database:
        ledger = SqlLedger(database, actor="tests")
        assert runs(ledger)
        assert database.ask(limits_of) == ("3s", "2s", "10s", "public")


@pytest.mark.fault("F45")
def test_a_pooler_that_changes_its_mode_is_an_outage(direct: str, pgbouncer: PgBouncer) -> None:
    pgbouncer.set(pool_mode="session")
    with closing(Database(pgbouncer.by_pooler(direct))) as database:
        assert SqlLedger(database).live_workers() == []
        database.close()

        pgbouncer.set(pool_mode="transaction")
        pgbouncer.command("RECONNECT")

        with pytest.raises(LedgerUnavailableError, match="pooler=transaction"):
            SqlLedger(database).live_workers()


def test_a_pooler_that_is_none_is_refused(direct: str) -> None:
    with pytest.raises(ConfigurationError, match="expected pooler=transaction or pooler=session"):
        Database(f"{direct}?pooler=perhaps")


def runs(ledger: SqlLedger) -> bool:
    """Dispatch a job, claim it and end it."""
    return ledger.get(fixtures.ended(ledger, JobState.SUCCEEDED).job_id).state is JobState.SUCCEEDED


def limits_of(channel: RawConnection) -> tuple[object, ...]:
    driver = channel.connection.dbapi_connection
    assert driver is not None
    names = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "search_path",
    )
    return tuple(driver.execute(f"SHOW {name}").fetchone()[0] for name in names)  # type: ignore[attr-defined]


def usual(url: str) -> tuple[object, ...]:
    """Return what a session has that nothing has changed."""
    with psycopg.connect(url.replace("+psycopg", "")) as client:
        return client.execute(TRACES).fetchone() or ()


@pytest.mark.fault("F45")
@pytest.mark.parametrize("query", ["", "?pooler=transaction"])
def test_an_upgrade_by_a_pooler_that_lends_sessions_is_refused(
    direct: str, pgbouncer: PgBouncer, query: str
) -> None:
    pgbouncer.set(pool_mode="transaction", **IGNORED)

    with closing(Database(pgbouncer.by_pooler(direct) + query)) as database:
        refused = pytest.raises(ConfigurationError, match="PostgreSQL itself for an upgrade")
        with refused:
            upgrade(database)


@pytest.mark.fault("F45")
def test_an_upgrade_by_a_pooler_that_lends_for_good_goes_through(
    direct: str, pgbouncer: PgBouncer
) -> None:
    pgbouncer.set(pool_mode="session", **IGNORED)

    with closing(Database(pgbouncer.by_pooler(direct) + "?pooler=session")) as database:
        done = upgrade(database)
    assert done.before == done.revision
