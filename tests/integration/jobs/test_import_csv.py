import stat
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import ConfigurationError, NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_source import CsvSource, ImportSettings
from failsoft.job_engine.jobs.data_sync.import_csv import CsvImport, ImportCsv, ImportReport
from failsoft.job_engine.jobs.data_sync.table_sink import (
    Column,
    TableShape,
    TablesUnavailableError,
)
from failsoft.job_engine.jobs.public_http import ForbiddenAddressError
from failsoft.worker.import_tables import SqlTables
from tests.integration.jobs.receiver import receiving
from tests.servers.postgresql.postgres import Postgres
from tests.unit.job_engine.jobs.fakes import JOB_ID, Crashed, Job

PEOPLE = TableShape("people", (Column("name", "str"), Column("age", "int", nullable=True)))
ROWS = 2500
COLUMNS = {
    "name": "str",
    "age": "int",
    "score": "float",
    "member": "bool",
    "born": "date",
    "seen_at": "datetime",
}


@pytest.fixture
def tables(ledger_url: str) -> Iterator[SqlTables]:
    found = SqlTables(ledger_url)
    yield found
    found.close()


@pytest.fixture
def database(ledger_url: str) -> Iterator[Engine]:
    engine = create_engine(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    lines = (f"p{n},{n},{n}.5,{n % 2},2024-01-31,2024-01-31T12:00:00Z\n" for n in range(ROWS))
    path.write_text(",".join(COLUMNS) + "\n" + "".join(lines))
    return path


def rows(database: Engine, query: str = "SELECT * FROM people ORDER BY age") -> Sequence[Any]:
    with database.connect() as connection:
        return connection.execute(text(query)).all()


def execute(database: Engine, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(text(statement))


def handler(tables: SqlTables, **settings: Any) -> ImportCsv:
    decided = ImportSettings(**{"folder": Path(gettempdir())} | settings)
    return ImportCsv(CsvSource(decided, SystemClock()), tables)


def payload(source: object) -> CsvImport:
    return CsvImport(source=str(source), table="people", columns=COLUMNS)


def test_a_file_becomes_a_table(tables: SqlTables, database: Engine, file: Path) -> None:
    report = Job().attempt(handler(tables), payload(file))

    assert report == ImportReport(rows_read=ROWS, rows_imported=ROWS)
    assert rows(database, "SELECT count(*), min(age), max(age) FROM people") == [
        (ROWS, 0, ROWS - 1)
    ]
    keys = rows(database, "SELECT key, rows FROM failsoft_imports ORDER BY key")
    assert keys == [(f"{JOB_ID}:batch-{n}", 1000 if n < 3 else 500) for n in (1, 2, 3)]


def test_every_type_comes_back_as_it_went(postgres_url: str, file: Path) -> None:
    tables, database = SqlTables(postgres_url), create_engine(postgres_url)
    Job().attempt(handler(tables), payload(file))

    first = rows(database, "SELECT * FROM people ORDER BY age LIMIT 1")[0]

    moment = datetime(2024, 1, 31, 12, tzinfo=UTC)
    assert tuple(first) == ("p0", 0, 0.5, False, date(2024, 1, 31), moment)
    tables.close()
    database.dispose()


def test_a_column_without_a_time_zone_takes_utc(postgres_url: str) -> None:
    tables, database = SqlTables(postgres_url), create_engine(postgres_url)
    name = make_url(postgres_url).database
    execute(database, f"ALTER DATABASE \"{name}\" SET timezone TO 'Asia/Tokyo'")
    execute(database, "CREATE TABLE visits (at TIMESTAMP)")
    visits = TableShape("visits", (Column("at", "datetime"),))

    tables.ensure(visits)
    tables.write_batch(visits, "k", [{"at": datetime(2024, 1, 31, 12, tzinfo=UTC)}])

    assert rows(database, "SELECT at FROM visits") == [(datetime(2024, 1, 31, 12),)]  # noqa: DTZ001 - as it stands there
    tables.close()
    database.dispose()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_batch_that_was_committed_but_not_recorded_is_not_inserted_twice(
    tables: SqlTables, database: Engine, file: Path, number: int
) -> None:
    job = Job()
    job.ledger.crash_before_recording = f"batch-{number}"
    with pytest.raises(Crashed):
        job.attempt(handler(tables), payload(file))
    assert rows(database, "SELECT count(*) FROM people") == [(min(number * 1000, ROWS),)]

    report = job.attempt(handler(tables), payload(file))

    assert report == ImportReport(rows_read=ROWS, rows_imported=ROWS)
    assert rows(database, "SELECT count(*), count(DISTINCT age) FROM people") == [(ROWS, ROWS)]


def test_a_batch_is_committed_whole_or_not_at_all(tables: SqlTables, database: Engine) -> None:
    execute(database, "CREATE TABLE people (name TEXT UNIQUE, age BIGINT)")
    tables.ensure(PEOPLE)
    twice = [{"name": "ann", "age": 1}, {"name": "ann", "age": 2}]

    with pytest.raises(NonRetryableError, match=r"(?i)unique") as raised:
        tables.write_batch(PEOPLE, "k", twice)

    assert rows(database) == []
    assert rows(database, "SELECT key FROM failsoft_imports") == []
    assert "ann" not in str(raised.value)


def test_the_same_key_inserts_once_however_many_write_it_at_once(
    tables: SqlTables, database: Engine
) -> None:
    tables.ensure(PEOPLE)
    batch = [{"name": f"p{n}", "age": n} for n in range(100)]
    counts: list[int] = []
    start = threading.Barrier(4)

    def write() -> None:
        start.wait()
        counts.append(tables.write_batch(PEOPLE, "k", batch))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts == [100] * 4
    assert len(rows(database)) == 100


def test_a_table_may_be_made_by_many_at_once(tables: SqlTables, database: Engine) -> None:
    start = threading.Barrier(8)
    failures: list[Exception] = []

    def ensure() -> None:
        start.wait()
        try:
            tables.ensure(PEOPLE)
        except Exception as error:  # noqa: BLE001 - whatever a thread raises is the finding
            failures.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert rows(database) == []


def test_a_table_that_has_further_columns_is_used_as_it_is(
    tables: SqlTables, database: Engine
) -> None:
    execute(database, "CREATE TABLE people (id BIGINT, name TEXT, age BIGINT)")

    tables.ensure(PEOPLE)
    tables.write_batch(PEOPLE, "k", [{"name": "ann", "age": None}])

    assert rows(database) == [(None, "ann", None)]


def test_a_table_without_a_declared_column_is_refused(tables: SqlTables, database: Engine) -> None:
    execute(database, "CREATE TABLE people (name TEXT)")

    with pytest.raises(NonRetryableError, match="without age"):
        tables.ensure(PEOPLE)


@pytest.mark.parametrize("name", ["order", "select", "group", "_x", "key"])
def test_a_reserved_word_is_a_name_like_any_other(
    tables: SqlTables, database: Engine, name: str
) -> None:
    shape = TableShape(name, (Column(name, "int"),))

    tables.ensure(shape)
    tables.write_batch(shape, "k", [{name: 7}])

    assert rows(database, f'SELECT "{name}" FROM "{name}"') == [(7,)]  # noqa: S608 - from the test


def test_a_file_is_imported_from_a_url(tables: SqlTables, database: Engine, file: Path) -> None:
    with receiving() as server:
        server.body = file.read_bytes()

        report = Job().attempt(handler(tables, allow_private=True), payload(server.url("/p.csv")))

    assert report.rows_imported == ROWS
    assert [taken.path for taken in server.taken] == ["/p.csv"]


def test_a_url_of_this_host_is_refused_unless_it_is_allowed(tables: SqlTables) -> None:
    with receiving() as server, pytest.raises(ForbiddenAddressError):
        Job().attempt(handler(tables), payload(server.url("/p.csv")))

    assert server.taken == []


def test_a_sqlite_file_is_private_and_in_wal_mode(sqlite_url: str) -> None:
    tables = SqlTables(sqlite_url)
    tables.ensure(PEOPLE)
    tables.close()

    mode = Path(str(make_url(sqlite_url).database)).stat().st_mode
    engine = create_engine(sqlite_url)
    assert stat.S_IMODE(mode) == 0o600
    assert rows(engine, "PRAGMA journal_mode") == [("wal",)]
    engine.dispose()


def test_a_database_that_is_away_is_tried_again(postgres: Postgres, postgres_url: str) -> None:
    tables = SqlTables(postgres_url)
    tables.ensure(PEOPLE)
    postgres.stop()

    with pytest.raises(TablesUnavailableError, match="FAILSOFT_IMPORT_URL"):
        tables.write_batch(PEOPLE, "k", [{"name": "ann", "age": 1}])

    postgres.start()
    assert tables.write_batch(PEOPLE, "k", [{"name": "ann", "age": 1}]) == 1
    tables.close()


def test_a_database_of_another_kind_is_refused_at_boot() -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        SqlTables("mysql://localhost/db")
