"""F35 and F37: a process forks while it has the ledger open, as many servers and daemons do."""

import json
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from failsoft.job_engine.errors import LedgerForkedError, LedgerUnavailableError
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database import forks
from failsoft.ledger.upgrade.run import upgrade
from tests.deployments.deployment import ROOT, installed_command
from tests.faults.postgresql.lost_replies import LedgerCalls
from tests.faults.processes.fork_program import JOBS
from tests.faults.sqlite.test_ledger_file import assert_all_there
from tests.servers.processes import PATIENCE, Processes, free_port, wait_until

HERE = {"PYTHONPATH": str(ROOT)}
FORK = multiprocessing.get_context("fork")


@pytest.mark.fault("F35")
def test_a_forked_child_opens_a_connection_of_its_own(
    processes: Processes, ledger_url: str
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        program = processes.python(
            "-m", "tests.faults.processes.fork_program", ledger_url, env=HERE
        )
        assert program.wait() == 0, program.tail

        assert len(SqlLedger(database).list_jobs(limit=10 * JOBS)) == 2 * JOBS
        reports = [json.loads(line) for line in program.output.splitlines()]
        if not database.is_sqlite:
            assert sorted(before == after for before, after in reports) == [False, True]


@pytest.mark.fault("F35", "F37")
@pytest.mark.parametrize("play", ["daemon", "fork", "forkserver"])
def test_no_job_of_a_parent_or_its_children_is_lost(
    processes: Processes, ledger_url: str, play: str
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        database.close()
        program = processes.python(
            "-m", "tests.faults.sqlite.sqlite_app", play, ledger_url, env=HERE
        )
        assert program.wait() == 0, program.tail
        # What is a daemon has no parent.
        wait_until(lambda: program.output.endswith("]\n"), PATIENCE, "the last of them is done")

        assert_all_there(database, program.output)


@pytest.mark.fault("F35", "F37")
def test_workers_that_gunicorn_forked_after_it_had_loaded_the_app(
    processes: Processes, ledger_url: str
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        database.close()
        port = free_port()
        words = ("--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level=error")
        app = "tests.faults.processes.web_app:application"
        server = processes.start(
            installed_command("gunicorn"),
            *words,
            app,
            env={**HERE, "FAILSOFT_LEDGER_URL": ledger_url},
        )
        answers = [answered(port)]
        while len({answer["pid"] for answer in answers}) < 2 and len(answers) < 200:
            answers.append(answered(port))
        server.terminate()

        ids = [answer["job_id"] for answer in answers]
        assert len({answer["pid"] for answer in answers}) == 2
        assert_all_there(database, json.dumps([*ids, "of-the-master"]))


def answered(port: int) -> dict[str, str]:
    def answer_of_one() -> dict[str, str] | None:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("POST", "/")
            return dict(json.loads(connection.getresponse().read()))
        except ConnectionRefusedError:
            return None
        finally:
            connection.close()

    answer = wait_until(answer_of_one, PATIENCE, "gunicorn answers")
    assert answer is not None
    return answer


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        yield database


@pytest.fixture
def ledger(database: Database) -> SqlLedger:
    return SqlLedger(database)


def in_child(deed: Callable[[], object]) -> str:
    """Run something in a forked child; return the error it ended with, if there was one."""
    ours, theirs = FORK.Pipe()

    def run(reports: Connection) -> None:
        try:
            deed()
        except Exception as error:  # noqa: BLE001 - it is sent to the parent
            reports.send(f"{type(error).__name__}: {error}")
        else:
            reports.send("")

    child = FORK.Process(target=run, args=(theirs,))
    child.start()
    assert ours.poll(PATIENCE)
    found = str(ours.recv())
    child.join()
    return found


@contextmanager
def in_a_transaction(database: Database, seconds: float = PATIENCE) -> Iterator[None]:
    """Have another thread in the middle of a transaction, for so many seconds at most."""
    begun, over = threading.Event(), threading.Event()

    def hold(connection: object) -> None:
        begun.set()
        assert over.wait(seconds) or seconds < PATIENCE

    thread = threading.Thread(target=database.write, args=(hold,))
    thread.start()
    assert begun.wait(PATIENCE)
    yield
    over.set()
    thread.join()


@pytest.mark.fault("F37")
def test_a_child_that_is_forked_within_a_long_transaction_is_refused(
    sqlite_url: str,
) -> None:
    """One that lasts longer than a call may, as a step's may that writes by itself."""
    of_short_calls = Database(sqlite_url, limit=timedelta(seconds=1))
    upgrade(of_short_calls)
    ledger = SqlLedger(of_short_calls)
    LedgerCalls(ledger, "before").record()
    with closing(of_short_calls), in_a_transaction(of_short_calls):
        found = in_child(lambda: LedgerCalls(ledger, "of-the-child").record())
        again = in_child(lambda: in_child(lambda: LedgerCalls(ledger, "of-a-grandchild").record()))
    LedgerCalls(ledger, "after").record()

    assert found.startswith(LedgerForkedError.__name__)
    assert "in use when this process was forked, got 1" in found
    assert again == ""
    assert {each.id for each in ledger.list_jobs()} == {"before", "after"}


@pytest.mark.fault("F37")
def test_a_transaction_that_is_as_long_as_a_call_may_be_is_waited_for(
    database: Database, ledger: SqlLedger
) -> None:
    """It may wait for the file's lock, which another process has: that is no child's fault."""
    LedgerCalls(ledger, "before").record()
    with in_a_transaction(database, seconds=1.5):
        found = in_child(lambda: LedgerCalls(ledger, "of-the-child").record())

    assert found == ""
    assert {each.id for each in ledger.list_jobs()} == {"before", "of-the-child"}


@pytest.mark.fault("F37")
def test_a_call_that_begins_while_a_fork_waits_is_over_in_time(
    database: Database, ledger: SqlLedger, sqlite_url: str
) -> None:
    LedgerCalls(ledger, "before").record()
    database.close()
    with closing(Database(sqlite_url, limit=timedelta(seconds=0.5))) as of_short_calls:
        briefly = SqlLedger(of_short_calls)
        with ThreadPoolExecutor(1) as threads, in_a_transaction(database):
            fork = threads.submit(forked)
            wait_until(lambda: not is_open_for(briefly), PATIENCE, "the fork waits")
            assert not fork.done()
        assert os.waitstatus_to_exitcode(fork.result(PATIENCE)) == 0
        assert is_open_for(briefly)


def is_open_for(ledger: SqlLedger) -> bool:
    try:
        ledger.list_jobs()
    except LedgerUnavailableError:
        return False
    return True


class CallsWhileForking:
    """How many calls end while a fork waits for the ledgers that are opened after this.

    What the machine does before and after the wait is not counted.
    """

    def __init__(self) -> None:
        self.made = 0
        self.at_each_fork: list[int] = []
        self._before = 0
        forks.bring_across_forks(self)

    def before_fork(self) -> None:
        self._before = self.made

    def after_fork_in_parent(self) -> None:
        self.at_each_fork.append(self.made - self._before)

    def after_fork_in_child(self) -> None:
        pass


@pytest.mark.fault("F37")
def test_a_thread_that_calls_without_a_pause_lets_a_fork_go_first(sqlite_url: str) -> None:
    stop, calls = threading.Event(), CallsWhileForking()

    with closing(Database(sqlite_url)) as database:

        def write() -> None:
            while not stop.is_set():
                LedgerCalls(SqlLedger(database), f"busy-{calls.made}").record()
                calls.made += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for n in range(1, 6):
                wait_until(lambda n=n: calls.made >= n, PATIENCE, "it calls")  # type: ignore[misc]
                child = FORK.Process(target=int)
                child.start()
                child.join()
        finally:
            stop.set()
            writer.join()

    # Dozens to thousands, where a fork waits for a moment between two calls.
    assert len(calls.at_each_fork) == 5
    assert max(calls.at_each_fork) < 10


@pytest.mark.fault("F37")
def test_a_transaction_that_ends_soon_is_waited_for(database: Database, ledger: SqlLedger) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            LedgerCalls(ledger, f"busy-{number}").record()
            number += 1

    writers = [threading.Thread(target=write) for _ in range(1)]
    for each in writers:
        each.start()
    try:
        found = [
            in_child(lambda n=n: LedgerCalls(ledger, f"child-{n}").record())  # type: ignore[misc]
            for n in range(3)
        ]
    finally:
        stop.set()
        for each in writers:
            each.join()
    assert found == ["", "", ""]
    ids = {each.id for each in ledger.list_jobs(limit=100_000)}
    assert {"child-0", "child-1", "child-2"} <= ids


@pytest.mark.fault("F37")
@pytest.mark.parametrize("is_disposed", [False, True])
def test_a_child_with_a_connection_that_is_not_ours_is_refused_until_that_is_closed(
    database: Database, ledger: SqlLedger, sqlite_url: str, is_disposed: bool
) -> None:
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM failsoft_jobs"))
    if is_disposed:
        engine.dispose()

    def with_session() -> None:
        with Session(engine) as session:
            session.execute(text("SELECT 1"))
            ledger.within(session)

    recorded = in_child(lambda: LedgerCalls(ledger, "of-the-child").record())
    joined = in_child(with_session)
    LedgerCalls(ledger, "of-the-parent").record()
    engine.dispose()

    if is_disposed:
        assert (recorded, joined) == ("", "")
        assert {each.id for each in ledger.list_jobs()} == {"of-the-parent", "of-the-child"}
    else:
        assert recorded.startswith(LedgerForkedError.__name__)
        assert joined.startswith(LedgerForkedError.__name__)
        assert {each.id for each in ledger.list_jobs()} == {"of-the-parent"}


@pytest.mark.fault("F37")
def test_a_program_that_is_started_closes_no_connection(
    database: Database, ledger: SqlLedger
) -> None:
    LedgerCalls(ledger, "before").record()
    before = connections(database)
    subprocess.run(["true"], check=True)

    assert connections(database) == before
    assert before

    assert os.waitstatus_to_exitcode(forked()) == 0
    assert connections(database) == []


def forked() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def connections(database: Database) -> list[str]:
    """What this process has open of the ledger."""
    path = str(database.file.path) if database.file else ""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sorted(each for each in links if each.startswith(path))
