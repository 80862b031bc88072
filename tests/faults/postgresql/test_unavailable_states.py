"""F42: whatever a PostgreSQL says that cannot serve just now is an outage, and no job's error.

The server itself says it: a trigger raises each SQLSTATE once.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from failsoft.job_engine.errors import LedgerError, LedgerSchemaError, LedgerUnavailableError
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.outages import SQLSTATES, Verdict
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.servers.postgresql.postgres import Postgres

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "ledger-postgresql.md"

#: A state of each line of the table, and some of its classes that have several.
STATES = {
    **{state if len(state) == 5 else f"{state}000": found for state, found in SQLSTATES.items()},
    "08006": Verdict.RECONNECT,
    "08P01": Verdict.RECONNECT,
    "40001": Verdict.AGAIN,
    "40P01": Verdict.AGAIN,
    "53100": Verdict.AWAY,
    "53300": Verdict.AWAY,
    "57P01": Verdict.RECONNECT,
    "57P03": Verdict.RECONNECT,
    "57P05": Verdict.RECONNECT,
    "58030": Verdict.AWAY,
    "XX001": Verdict.AWAY,
    "22012": Verdict.REFUSED,
    "23514": Verdict.REFUSED,
    "42501": Verdict.REFUSED,
    "P0001": Verdict.REFUSED,
}
TRIGGERS = (
    "CREATE SEQUENCE failures MINVALUE 0",
    "CREATE TABLE failing (state text)",
    # A sequence is not rolled back: the statement fails once.
    """
    CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE failing_with text := (SELECT state FROM failing);
    BEGIN
        IF failing_with IS NOT NULL AND nextval('failures') = 0 THEN
            RAISE EXCEPTION 'as a test says' USING ERRCODE = failing_with;
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON failsoft_jobs
    FOR EACH ROW EXECUTE FUNCTION fail_once()
    """,
    """
    CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON failsoft_workers
    FOR EACH ROW EXECUTE FUNCTION fail_once()
    """,
)

_numbers = count()


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[Database]:
    with closing(Database(postgres.create_database("states"))) as database:
        upgrade(database)
        for statement in TRIGGERS:
            database.write(lambda connection, each=statement: connection.exec_driver_sql(each))
        yield database
    postgres.drop_database("states")


@contextmanager
def failing(database: Database, state: str) -> Iterator[None]:
    """Let the next statement that writes fail once."""

    def set_to(state: str | None) -> None:
        def work(connection: object) -> None:
            for statement in ("DELETE FROM failing", "ALTER SEQUENCE failures RESTART WITH 0"):
                connection.exec_driver_sql(statement)  # type: ignore[attr-defined]
            connection.execute(  # type: ignore[attr-defined]
                text("INSERT INTO failing VALUES (:state)"), {"state": state}
            )

        database.write(work)

    set_to(state)
    try:
        yield
    finally:
        set_to(None)


def dispatch(ledger: SqlLedger) -> None:
    """Write by one prepared statement."""
    ledger.record_job(fixtures.new_job(), fixtures.plan())


def beat(ledger: SqlLedger) -> None:
    """Write in a transaction."""
    worker = WorkerRecord(f"boot-{next(_numbers)}", "rq", "default", "here", 1, 1)
    ledger.beat(worker, timedelta(minutes=1))


def session(channel: RawConnection) -> int:
    row = channel.connection.dbapi_connection.execute("SELECT pg_backend_pid()").fetchone()  # type: ignore[union-attr]
    return int(row[0])


@pytest.mark.fault("F42")
@pytest.mark.parametrize("write", [dispatch, beat], ids=["statement", "transaction"])
@pytest.mark.parametrize(("state", "verdict"), STATES.items())
def test_each_state_means_what_the_table_says(
    database: Database, state: str, verdict: Verdict, write: object
) -> None:
    ledger = SqlLedger(database, actor="tests")
    before = {database.ask(session)}

    with failing(database, state):
        try:
            write(ledger)  # type: ignore[operator]
        except LedgerError as error:
            raised: LedgerError | None = error
        else:
            raised = None
        # Whatever it was, it was once: the ledger goes on.
        write(ledger)  # type: ignore[operator]

    match verdict:
        case Verdict.AGAIN | Verdict.RECONNECT:
            assert raised is None
        case Verdict.AWAY | Verdict.SLOW | Verdict.COPIED:
            assert isinstance(raised, LedgerUnavailableError)
        case Verdict.SCHEMA:
            assert isinstance(raised, LedgerSchemaError)
        case Verdict.REFUSED:
            assert raised is not None
            assert not isinstance(raised, LedgerUnavailableError | LedgerSchemaError)
    is_dropped = verdict in (Verdict.RECONNECT, Verdict.AWAY)
    assert (database.ask(session) not in before) is is_dropped


@pytest.mark.fault("F42")
def test_the_page_says_what_the_table_says() -> None:
    rows = re.findall(r"^\| `(\w{2,5})` \|[^|]*\| (\w[\w ]*) \|$", PAGE.read_text(), re.MULTILINE)

    assert dict(rows) == {state: found.value for state, found in SQLSTATES.items()}


@pytest.mark.fault("F42")
def test_a_server_that_takes_no_writes_for_a_while_is_waited_for(
    database: Database, postgres: Postgres
) -> None:
    ledger = SqlLedger(database, actor="tests")
    dispatch(ledger)
    before = database.ask(session)

    postgres.read_only(on=True)
    try:
        with pytest.raises(LedgerUnavailableError, match="read-only"):
            dispatch(ledger)
    finally:
        postgres.read_only(on=False)

    dispatch(ledger)
    assert database.ask(session) != before
