"""F36 and F38: a process drops its locks on a SQLite ledger, or its file is no longer the one."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.orm import Session

from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import (
    ConfigurationError,
    LedgerUnavailableError,
    NonRetryableError,
)
from failsoft.job_engine.jobs.data_sync.csv_source import CsvSource, ImportSettings
from failsoft.job_engine.jobs.data_sync.table_sink import Column, TableShape
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger, check, verify
from failsoft.ledger.database.sqlite.ledger_file import (
    LOOK_SECONDS,
    LedgerConnection,
    LedgerFile,
    file_at,
    is_open_ledger,
)
from failsoft.ledger.database.sqlite.private_file import create_private
from failsoft.ledger.opening import shared_database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.missing import note_pruned
from failsoft.ledger.upkeep.pruning import SqlPruner
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.doctor.missing_jobs import look_at_wholeness
from failsoft.worker.doctor.run import examine
from failsoft.worker.engine_sites import build_engines
from failsoft.worker.import_tables import SqlTables
from tests.deployments.deployment import ROOT, installed_command
from tests.faults.postgresql.lost_replies import PLAN, LedgerCalls
from tests.faults.sqlite.sqlite_app import PLAYS, VISIT
from tests.servers.processes import PATIENCE, Processes, wait_until
from tests.servers.valkey import Valkey

HERE = {"PYTHONPATH": str(ROOT)}
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        yield database


@pytest.mark.fault("F36")
def test_a_file_whose_last_connection_closes_while_another_opens_is_not_lost(
    sqlite_url: str, tmp_path: Path
) -> None:
    with closing(Database(sqlite_url)) as made:
        upgrade(made)
    path = tmp_path / "ledger.db"
    file = file_at(path)
    first = LedgerConnection(str(path), file=file, prepare=read)

    def close_first(second: sqlite3.Connection) -> None:
        # It takes the log along: the other has not read yet, so SQLite does not count it.
        first.close()
        for number in range(4):
            # In the log's place, as others' files: the next log is another one.
            (tmp_path / f"{number}").touch()
        read(second)

    second = LedgerConnection(str(path), file=file, prepare=close_first)

    with closing(second):
        file.ready()
        file.expect_whole()
        assert not file.is_lost


class LookedAtInTheMiddle(LedgerFile):
    """A file that is looked at while a connection closes: SQLite is done, its owner is not."""

    def forget(self, connection: LedgerConnection) -> None:
        ends = time.monotonic() + 2 * LOOK_SECONDS
        while time.monotonic() < ends:
            self.ready()
        super().forget(connection)


def read(connection: sqlite3.Connection) -> None:
    """Read from a file: with that SQLite takes its lock."""
    connection.execute("SELECT count(*) FROM sqlite_master").close()


@pytest.mark.fault("F36")
def test_a_file_whose_last_connection_is_being_closed_is_not_lost(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.close()
    file = LookedAtInTheMiddle(path)

    LedgerConnection(str(path), file=file, prepare=read).close()

    assert not Path(f"{path}-wal").exists()
    assert (file.is_lost, caplog.messages) == (False, [])


@pytest.mark.fault("F36")
def test_a_file_that_two_open_while_the_last_connection_closes_is_not_lost(
    database: Database, path: Path, tmp_path: Path
) -> None:
    database.close()
    file = file_at(path)
    first = LedgerConnection(str(path), file=file, prepare=read)
    opened = list[LedgerConnection]()

    def close_first_and_open_another(second: sqlite3.Connection) -> None:
        first.close()
        for number in range(4):
            # In the log's place, as others' files: the next log is another one.
            (tmp_path / f"{number}").touch()
        opened.append(LedgerConnection(str(path), file=file, prepare=read))
        read(second)

    second = LedgerConnection(str(path), file=file, prepare=close_first_and_open_another)

    with closing(second), closing(*opened):
        file.expect_whole()
        assert not file.is_lost


@pytest.mark.fault("F38")
def test_a_file_that_is_replaced_while_two_open_it_is_noticed(
    database: Database, path: Path, tmp_path: Path
) -> None:
    database.close()
    file = file_at(path)
    other = tmp_path / "restored.db"
    other.write_bytes(path.read_bytes())
    opened = list[LedgerConnection]()

    def replace_and_open_another(_: sqlite3.Connection) -> None:
        other.replace(path)
        opened.append(LedgerConnection(str(path), file=file, prepare=read))

    with pytest.raises(LedgerUnavailableError, match="got another one or none"):
        LedgerConnection(str(path), file=file, prepare=replace_and_open_another)

    opened[0].close()


@pytest.mark.fault("F36")
def test_a_commit_is_kept_though_its_connection_is_closed_as_soon_as_it_is_given_back(
    database: Database, path: Path
) -> None:
    database.close()
    event.listen(database.engine, "checkin", lambda driver, _: driver.close())

    database.write(lambda connection: connection.exec_driver_sql("CREATE TABLE kept (id INTEGER)"))

    assert not Path(f"{path}-wal").exists()
    with closing(sqlite3.connect(path)) as beside:
        assert beside.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.fixture
def ledger(database: Database) -> SqlLedger:
    return SqlLedger(database)


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def settings_of(url: str, redis: str = NOWHERE, amqp: str = NOWHERE) -> Settings:
    return load_settings(ledger_url=url, redis_url=redis, amqp_url=amqp, _env_file=None)


def locks_on(path: Path) -> list[str]:
    """The locks of this process on a file, as the kernel has them."""
    of_file = f":{path.stat().st_ino} "
    # The kernel numbers the locks of all processes anew at each look.
    lines = [each.partition(": ")[2] for each in Path("/proc/locks").read_text().splitlines()]
    return [each for each in lines if of_file in each and f" {os.getpid()} " in each]


@pytest.mark.fault("F36")
def test_nothing_that_the_product_does_drops_the_locks(
    database: Database, sqlite_url: str, path: Path, tmp_path: Path
) -> None:
    settings = settings_of(sqlite_url)
    table = TableShape("rows_of_mine", (Column("number", "int"),))
    decided = ImportSettings(folder=path.parent, is_barred=is_open_ledger)
    source = CsvSource(decided, SystemClock())
    link = tmp_path / "another-name.db"
    link.symlink_to(path)
    deeds: dict[str, Callable[[], object]] = {
        "a second database": lambda: Database(sqlite_url),
        "the end of a second one": lambda: Database(f"sqlite:///{link}").close(),
        "the shared one": lambda: shared_database(sqlite_url).close(),
        "making the file": lambda: create_private(path),
        "check": lambda: check(database),
        "upgrade": lambda: upgrade(Database(sqlite_url)),
        "doctor": lambda: examine(settings, timedelta(seconds=PATIENCE)),
        "verify": lambda: list(verify.verify(database)),
        "wholeness": lambda: look_at_wholeness(settings, database),
        "prune": lambda: SqlPruner(database).prune(
            "a-job", JobState.SUCCEEDED, Retention(age=timedelta(0)), 10
        ),
        "an import's table": lambda: SqlTables(sqlite_url).ensure(table),
        "an import": lambda: SqlTables(sqlite_url).write_batch(table, "key", [{"number": 1}]),
        "an import of the ledger itself": lambda: refused(source, path.name),
        "an import of its log": lambda: refused(source, f"{path.name}-wal"),
        "another process": lambda: subprocess.run(
            [sys.executable, "-c", VISIT, str(path)], check=True
        ),
    }
    before = locks_on(path), locks_on(Path(f"{path}-shm"))
    assert all(before)
    for name, deed in deeds.items():
        deed()
        assert (locks_on(path), locks_on(Path(f"{path}-shm"))) == before, name


def refused(source: CsvSource, name: str) -> None:
    with pytest.raises(NonRetryableError, match="a database in use"), source.open(name):
        pass


def test_the_locks_would_show_a_file_that_is_opened_and_closed(
    database: Database, path: Path
) -> None:
    assert locks_on(path)
    path.open().close()
    assert not locks_on(path)


def test_the_file_is_made_for_its_owner_alone_and_nothing_is_left_beside_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new.db"
    create_private(path)
    create_private(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    create_private(tmp_path / "new.db")

    assert [each.name for each in tmp_path.iterdir()] == ["new.db"]
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="it is no file"):
        create_private(tmp_path)


def test_spellings_of_one_path_share_one_database(
    sqlite_url: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link.db").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    first = shared_database(sqlite_url)

    assert shared_database("sqlite:///link.db") is first
    assert shared_database(f"sqlite:///{path.name}") is first
    assert SqlTables(sqlite_url)._database is first
    assert Database(sqlite_url).file is first.file


@pytest.mark.fault("F36")
@pytest.mark.parametrize("hard", ["", pytest.param("1", id="os._exit", marks=pytest.mark.long)])
@pytest.mark.parametrize("play", ["own_engine", "session", "copied"])
def test_no_job_is_lost_to_a_process_that_opens_and_closes_the_ledger(
    database: Database, sqlite_url: str, processes: Processes, *, play: str, hard: str
) -> None:
    database.close()
    words = ("-m", "tests.faults.sqlite.sqlite_app", play, sqlite_url)
    program = processes.python(*words, env={**HERE, "HARD": hard})
    assert program.wait() == 0, program.tail

    assert_all_there(database, program.output)


@pytest.mark.fault("F36")
def test_no_job_of_two_busy_apps_is_lost(
    database: Database, sqlite_url: str, path: Path, processes: Processes
) -> None:
    database.close()
    words = ("-m", "tests.faults.sqlite.sqlite_app", PLAYS["together"].__name__, sqlite_url)
    apps = [processes.python(*words, env=HERE) for _ in range(2)]
    while any(each.is_running for each in apps):
        subprocess.run([sys.executable, "-c", VISIT, str(path)], check=True)

    for each in apps:
        assert each.wait() == 0, each.tail
        assert_all_there(database, each.output)


class CallsWithoutLocks(logging.Handler):
    """How many calls end from when locks are missed until the next connection takes them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.made = 0
        self.at_each_loss: list[int] = []
        self._before: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if "expected SQLite's locks" in record.getMessage():
            self._before = self.made

    def connected(self, *_: object) -> None:
        if self._before is not None:
            self.at_each_loss.append(self.made - self._before)
            self._before = None


@pytest.mark.fault("F36")
def test_threads_that_call_without_a_pause_soon_have_locks_again(
    ledger: SqlLedger, path: Path
) -> None:
    stop, calls = threading.Event(), CallsWithoutLocks()
    logger = logging.getLogger("failsoft.ledger")
    event.listen(ledger.database.engine, "connect", calls.connected)

    def write(thread: int) -> None:
        while not stop.is_set():
            LedgerCalls(ledger, f"busy-{thread}-{calls.made}").record()
            calls.made += 1

    writers = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    logger.addHandler(calls)
    for each in writers:
        each.start()
    try:
        for n in range(1, 6):
            opened_and_closed(path)
            wait_until(lambda n=n: len(calls.at_each_loss) >= n, PATIENCE, "locks are taken")  # type: ignore[misc]
    finally:
        stop.set()
        for each in writers:
            each.join()
        logger.removeHandler(calls)

    # A hundred, where connections are waited for that are used again at once.
    assert max(calls.at_each_loss) < 10


def opened_and_closed(path: Path) -> None:
    """Drop this process's locks on a file, as whatever reads it beside SQLite does."""
    path.open("rb").close()


def assert_all_there(database: Database, output: str) -> None:
    accepted = json.loads(output.splitlines()[-1])
    kept = {each.id for each in SqlLedger(database).list_jobs(limit=100_000)}
    assert accepted
    assert set(accepted) <= kept
    if database.is_sqlite:
        with closing(sqlite3.connect(str(database.url.database))) as stranger:
            assert stranger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.fault("F38")
@pytest.mark.parametrize("gone", [("-wal", "-shm"), ("-wal",)])
def test_a_log_that_is_gone_stops_the_process_once_and_takes_nothing_with_it(
    ledger: SqlLedger, path: Path, gone: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    LedgerCalls(ledger, "before").record()
    for suffix in gone:
        Path(f"{path}{suffix}").unlink()

    with caplog.at_level(logging.WARNING, "failsoft.ledger"):
        with pytest.raises(LedgerUnavailableError, match="to be the one that this process has"):
            LedgerCalls(ledger, "refused").record()
        assert deleted(path) == []
        assert LedgerCalls(ledger, "after").record()
    assert [each.levelname for each in caplog.records] == ["ERROR", "WARNING"]
    assert {each.id for each in ledger.list_jobs()} == {"before", "after"}


@pytest.mark.fault("F38")
def test_a_statement_that_is_kept_keeps_nothing_of_a_lost_file_open(
    ledger: SqlLedger, database: Database, path: Path
) -> None:
    """As in the traceback of an error that is reported later."""
    LedgerCalls(ledger, "before").record()

    def half_read(connection: Connection) -> sqlite3.Cursor:
        driver: Any = connection.connection.dbapi_connection
        cursor: sqlite3.Cursor = driver.execute("SELECT 1 UNION ALL SELECT 2")
        cursor.fetchone()
        return cursor

    kept = database.read(half_read)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
    with pytest.raises(LedgerUnavailableError, match="to be the one that this process has"):
        LedgerCalls(ledger, "refused").record()

    assert LedgerCalls(ledger, "after").record()
    assert deleted(path) == []
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.fetchone()


@pytest.mark.fault("F38")
def test_a_file_that_was_restored_is_used_once_the_former_log_is_gone(
    ledger: SqlLedger, path: Path, tmp_path: Path
) -> None:
    LedgerCalls(ledger, "before").record()
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(path)) as stranger:
        stranger.execute("VACUUM INTO ?", (str(backup),))
    LedgerCalls(ledger, "since").record()
    backup.rename(path)

    with pytest.raises(LedgerUnavailableError, match="to be the one that this process has"):
        LedgerCalls(ledger, "refused").record()
    with pytest.raises(LedgerUnavailableError, match="no log of another file beside"):
        LedgerCalls(ledger, "refused").record()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
    LedgerCalls(ledger, "after").record()

    assert {each.id for each in ledger.list_jobs()} == {"before", "after"}
    assert deleted(path) == []


@pytest.mark.fault("F38")
def test_a_file_that_is_gone_is_not_made_anew(ledger: SqlLedger, path: Path) -> None:
    LedgerCalls(ledger, "before").record()
    path.unlink()

    for _ in range(2):
        with pytest.raises(LedgerUnavailableError):
            LedgerCalls(ledger, "refused").record()
    assert not path.exists()


@pytest.mark.fault("F38")
@pytest.mark.parametrize("gone", [("", "-wal", "-shm"), ("-shm",)])
def test_who_only_reads_notices_too(ledger: SqlLedger, path: Path, gone: tuple[str, ...]) -> None:
    LedgerCalls(ledger, "before").record()
    for suffix in gone:
        Path(f"{path}{suffix}").unlink()

    def is_refused() -> bool:
        try:
            ledger.get("before")
        except LedgerUnavailableError:
            return True
        return False

    wait_until(is_refused, PATIENCE, "the reader notices")


@pytest.mark.fault("F38")
def test_a_session_of_the_callers_own_on_a_lost_log_is_refused(
    ledger: SqlLedger, sqlite_url: str, path: Path
) -> None:
    engine = create_engine(sqlite_url)
    for number, is_lost in enumerate((False, True)):
        if is_lost:
            Path(f"{path}-wal").unlink()
        new = NewJob(f"job-{number}", "a-job", "default", "{}", "0" * 64)
        with Session(engine) as session, session.begin():
            session.execute(text("SELECT 1"))
            if is_lost:
                with pytest.raises(LedgerUnavailableError):
                    ledger.within(session)
            else:
                ledger.within(session).record_job(new, PLAN)
    engine.dispose()


def deleted(path: Path) -> list[str]:
    """What this process has open of the ledger that is deleted."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return [each for each in links if each.startswith(str(path)) and each.endswith("(deleted)")]


@pytest.mark.fault("F38")
def test_verify_and_doctor_name_a_process_that_writes_to_another_file(
    database: Database, ledger: SqlLedger, sqlite_url: str, path: Path
) -> None:
    # What was in the log is in the file now, or it would go with the log.
    database.close()
    LedgerCalls(ledger, "before").record()
    with closing(sqlite3.connect(path)) as stranger:
        stranger.execute("SELECT count(*) FROM failsoft_jobs").fetchall()
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink()
        environment = {"FAILSOFT_LEDGER_URL": sqlite_url, "REDIS_URL": NOWHERE}
        verified = subprocess.run(
            [installed_command("failsoft"), "ledger", "verify", "--json"],
            env={**os.environ, **environment, "AMQP_URL": NOWHERE},
            capture_output=True,
            text=True,
            check=False,
        )
    assert verified.returncode == 1, verified.stderr
    report = json.loads(verified.stdout)
    assert not report["sound"]
    assert {each["pid"] for each in report["wholeness"]["strays"]} == {os.getpid()}
    assert len(report["wholeness"]["unread"]) == 2


@pytest.mark.fault("F38")
def test_messages_whose_job_is_missing_are_lost_jobs(
    database: Database, ledger: SqlLedger, sqlite_url: str, *, valkey: Valkey, second_valkey: Valkey
) -> None:
    settings = settings_of(sqlite_url, valkey.url, second_valkey.url)
    clock = SystemClock()
    keys = KeyRing(ledger.signing_keys, clock, settings.namespace)
    for name, engine in build_engines(settings).items():
        for job_id in ("kept", "gone"):
            deadline = Deadline.after(clock, timedelta(seconds=PATIENCE))
            engine.adapter.offer(keys.sign(job_id, 1, name), DEFAULT, deadline)
    LedgerCalls(ledger, "kept").record()
    found = look_at_wholeness(settings, database)

    assert [(each.job_id, each.engine) for each in found.lost] == [
        ("gone", "rq"),
        ("gone", "dramatiq"),
    ]
    assert found.unread == []

    note_pruned_now(database)
    found = look_at_wholeness(settings, database)
    assert (found.lost, found.unexplained) == ([], 2)
    assert found.is_whole


def note_pruned_now(database: Database) -> None:
    database.write(lambda c: note_pruned(c, datetime.now(UTC)))
    # An older one changes nothing.
    database.write(lambda c: note_pruned(c, datetime.now(UTC) - timedelta(days=1)))
