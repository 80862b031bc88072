"""What is in the way of an upgrade: locks, other upgrades, limits; and what it is in the way of."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, create_engine, inspect, text

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.ledger import Database, check
from failsoft.ledger.schema.revision import REVISION
from failsoft.ledger.upgrade import online
from failsoft.ledger.upgrade.postgresql import LOCK_TIMEOUT
from failsoft.ledger.upgrade.run import Upgrade, upgrade
from failsoft.ledger.upgrade.scripts import Migration, load
from failsoft.ledger.upgrade.steps import Progress
from tests.deployments.deployment import ROOT
from tests.integration.upgrades.killed_upgrade import MOST
from tests.integration.upgrades.load_programs import Load
from tests.integration.upgrades.next_release import ADDITIVE, TABLES
from tests.servers.processes import PATIENCE, Processes, wait_until

pytestmark = pytest.mark.fault("F47")

MOMENT = timedelta(seconds=3)
#: The steps that both databases have.
ANSWERED = ("table ", "columns ", "index ", "a view", "backfill", "dropping ")
VIEW = "failsoft_colours_of_jobs"


class Reports(list[Progress]):
    """What upgrades have reported."""

    def waits_for(self, word: str) -> bool:
        return any("waiting" in each.phase and word in f"{each.step} {each.phase}" for each in self)

    def is_done(self, step: str) -> bool:
        return any(each.step == step and each.phase == "done" for each in self)


@contextmanager
def upgrading(url: str, reports: Reports) -> Iterator[Callable[[], Future[Upgrade]]]:
    """Lend what begins an upgrade to the next release in a thread."""

    def run() -> Upgrade:
        with closing(Database(url)) as database:
            return upgrade(database, migrations=ADDITIVE, report=reports.append)

    with ThreadPoolExecutor(1) as threads:
        yield lambda: threads.submit(run)


def made(url: str) -> None:
    """Make the ledger of this release."""
    with closing(Database(url)) as database:
        upgrade(database)


@contextmanager
def reading_transaction(url: str) -> Iterator[None]:
    """Leave a transaction open that has read the jobs, as a session in an editor does."""
    address = url.replace("+psycopg", "")
    with psycopg.connect(address, application_name="an-editor") as connection:
        connection.execute("SELECT count(*) FROM failsoft_jobs")
        yield


@contextmanager
def old_snapshot(url: str) -> Iterator[None]:
    """Leave a transaction open that sees the database as it was, and has no lock of the ledger."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pg_class")
        yield


def test_a_lock_in_the_way_is_named_and_holds_no_dispatch_up_for_long(postgres_url: str) -> None:
    reports = Reports()
    made(postgres_url)
    with (
        closing(Database(postgres_url)) as database,
        upgrading(postgres_url, reports) as begin,
        Load(database) as load,
    ):
        with reading_transaction(postgres_url):
            upgraded = begin()
            wait_until(lambda: reports.waits_for("an-editor"), PATIENCE, "the lock is waited for")
            # While it tries again and again, others get on in between.
            for _ in range(2):
                tries, done = len(reports), len(load.accepted)
                wait_until(lambda t=tries: len(reports) > t, PATIENCE, "the next try")
                wait_until(
                    lambda d=done: len(load.accepted) > d or load.errors, PATIENCE, "a dispatch"
                )
            assert not reports.is_done("columns colour, shade")
            assert not upgraded.done()
        assert upgraded.result(PATIENCE).revision == "0099"
    # A ledger call gives up after five seconds of waiting for a lock.
    assert load.errors == []
    assert load.longest < LOCK_TIMEOUT.total_seconds() + 3


def test_a_lock_that_is_not_given_back_ends_the_upgrade_and_names_its_holder(
    postgres_url: str,
) -> None:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        with (
            reading_transaction(postgres_url),
            pytest.raises(LedgerUnavailableError, match=r"an-editor.*idle in trans.*it goes on"),
        ):
            upgrade(database, migrations=ADDITIVE, patience=MOMENT)

        check(database)
        assert upgrade(database, migrations=ADDITIVE).before == REVISION


def test_an_index_that_waits_for_an_old_transaction_blocks_no_other(postgres_url: str) -> None:
    reports = Reports()
    made(postgres_url)
    with (
        closing(Database(postgres_url)) as database,
        upgrading(postgres_url, reports) as begin,
        Load(database) as load,
    ):
        with old_snapshot(postgres_url):
            upgraded = begin()
            wait_until(lambda: any("now session" in r.phase for r in reports), PATIENCE, "a wait")
            done = len(load.accepted)
            wait_until(lambda: len(load.accepted) > done + 20 or load.errors, PATIENCE, "jobs")
            assert not upgraded.done()
        assert upgraded.result(PATIENCE).revision == "0099"
    assert load.errors == []


def test_an_index_that_a_killed_upgrade_left_is_built_anew(
    postgres_url: str, processes: Processes, tmp_path: Path
) -> None:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        with old_snapshot(postgres_url):
            words = (
                "-m",
                "tests.integration.upgrades.killed_upgrade",
                postgres_url,
                str(tmp_path),
                str(MOST),
            )
            program = processes.python(*words, env={"PYTHONPATH": str(ROOT)})
            wait_until(lambda: validity(database) == [False], PATIENCE, "an index is being built")
            program.kill()
            # The server itself finds out that the client is gone.
            wait_until(lambda: not sessions(database), PATIENCE, "the session has ended")
        assert validity(database) == [False]

        done = upgrade(database, migrations=ADDITIVE)

        assert (done.before, done.revision) == (REVISION, "0099")
        assert validity(database) == [True]


def validity(database: Database) -> list[bool]:
    statement = text("""
        SELECT indisvalid FROM pg_index
        WHERE indexrelid = to_regclass('ix_failsoft_jobs_colour')
    """)
    return list(database.read(lambda c: c.execute(statement).scalars().all()))


def sessions(database: Database) -> int:
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'failsoft ledger upgrade'"
    )
    return int(database.read(lambda c: c.execute(statement).scalar_one()))


def test_two_upgrades_follow_each_other_and_the_second_says_so(ledger_url: str) -> None:
    reports, second = Reports(), Reports()
    gate = threading.Event()

    def wait(progress: Progress) -> None:
        reports.append(progress)
        if progress.step == "backfill colours" and progress.phase == "begun":
            assert gate.wait(PATIENCE)

    with closing(Database(ledger_url)) as database, ThreadPoolExecutor(2) as threads:
        upgrade(database)
        one = threads.submit(lambda: upgrade(database, migrations=ADDITIVE, report=wait))
        wait_until(lambda: reports.is_done("a view of colours"), PATIENCE, "the first goes on")
        two = threads.submit(lambda: upgrade(database, migrations=ADDITIVE, report=second.append))
        if database.is_sqlite:
            # Each step is looked at again: the first process does it.
            assert two.result(PATIENCE).before == REVISION
        else:
            wait_until(lambda: second.waits_for("another upgrade"), PATIENCE, "the second waits")
        gate.set()
        assert one.result(PATIENCE).revision == two.result(PATIENCE).revision == "0099"
        if not database.is_sqlite:
            assert two.result().before == "0099"


def test_a_ledger_that_two_make_at_once_is_made_once(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database, ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: upgrade(database), range(4)))

        assert sorted(each.tables for each in made) == [0, 0, 0, TABLES]
        assert {each.revision for each in made} == {REVISION}
        keys = text("SELECT count(*) FROM failsoft_signing_keys")
        assert database.read(lambda c: c.execute(keys).scalar_one()) == 1


def test_upgrades_of_two_ledgers_in_two_threads_keep_to_their_own(
    sqlite_url: str, postgres_url: str
) -> None:
    """Alembic's own `op` is one for the process; each of these meets the other at every step."""
    meeting = threading.Barrier(2)

    def upgraded(url: str) -> str:
        def meet(progress: Progress) -> None:
            if progress.step.startswith(ANSWERED) and progress.phase == "begun":
                meeting.wait(PATIENCE)

        with closing(Database(url)) as database:
            upgrade(database)
            return upgrade(database, migrations=ADDITIVE, report=meet).revision

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(upgraded, (sqlite_url, postgres_url))) == ["0099", "0099"]

    for url in (sqlite_url, postgres_url):
        with closing(Database(url)) as database:
            made = database.read(lambda c: inspect(c).get_table_names())
            assert "failsoft_colours" in made
            assert database.read(lambda c: inspect(c).get_view_names()) == [VIEW]


def test_an_upgrade_within_an_applications_own_migration_leaves_its_operations_alone(
    sqlite_url: str, tmp_path: Path
) -> None:
    own = create_engine(f"sqlite:///{tmp_path / 'application.db'}")
    with closing(Database(sqlite_url)) as database, own.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            upgrade(database)
            upgrade(database, migrations=ADDITIVE)
            op.create_table("orders", Column("id", Integer, primary_key=True))

        assert inspect(connection).get_table_names() == ["orders"]
        assert "orders" not in database.read(lambda c: inspect(c).get_table_names())
    own.dispose()


def test_sqlite_waits_for_another_writer_says_so_and_gives_up_in_time(sqlite_url: str) -> None:
    reports = Reports()
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        with (
            database.engine.begin(),
            pytest.raises(LedgerUnavailableError, match="another process"),
        ):
            upgrade(database, migrations=ADDITIVE, report=reports.append, patience=MOMENT)

        assert reports.waits_for("another process that writes")
        check(database)
        assert upgrade(database, migrations=ADDITIVE).revision == "0099"


def test_an_upgrade_has_no_limit_of_time_whatever_the_database_sets(postgres_url: str) -> None:
    found: dict[str, str] = {}

    def look() -> None:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            found[name] = online.connection().exec_driver_sql(f"SHOW {name}").scalar_one()
        # Longer than the database allows others.
        online.connection().exec_driver_sql("SELECT pg_sleep(0.5)")

    with closing(Database(postgres_url)) as database:
        upgrade(database)
        name = database.url.database
        with database.engine.connect() as connection:
            for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"ALTER DATABASE {name} SET {setting} = '200ms'"))
        after = Migration(
            *(REVISION, "0099", REVISION, REVISION),
            lambda: online.once("a look", "failsoft_jobs", look),
        )

        assert upgrade(database, migrations=[*load(), after]).revision == "0099"

    assert found["statement_timeout"] == found["idle_in_transaction_session_timeout"] == "0"
    assert found["lock_timeout"] == "1s"
