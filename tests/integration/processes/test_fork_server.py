"""The process that forks the children of attempts: where it comes from, and what its end does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from failsoft.job_engine import JobState
from failsoft.worker.attempts import fork_server_process
from failsoft.worker.attempts.fork_server import UNKNOWN_STATUS, Child, ForkServer
from failsoft.worker.configuration.settings import Settings, load_settings
from tests.integration.processes.conftest import ProcessDeployment
from tests.jobs.process_jobs import CHILDREN, Gate
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.worker.attempts.offered_job import OfferedJob

#: Of a job that the ledger of a test has not: its attempt ends as fenced.
CLAIM = OfferedJob().claim("of-no-ledger")
#: Prints, and starts a child before what was printed is written.
PRINTING = """
from tests.integration.processes.test_fork_server import CLAIM
from failsoft.worker.attempts.fork_server import ForkServer
from failsoft.worker.configuration.settings import load_settings
print("once")
server = ForkServer(load_settings())
server.start()
with server.child(CLAIM) as child:
    child.join()
    print(child.exitcode)
"""


@pytest.fixture
def settings(empty_sqlite_url: str) -> Settings:
    """The settings of an empty ledger."""
    return load_settings(_env_file=None, ledger_url=empty_sqlite_url, engines="ledger")


@contextmanager
def serving(settings: Settings) -> Iterator[ForkServer]:
    server = ForkServer(settings)
    yield server
    server.close()


@contextmanager
def another_thread() -> Iterator[None]:
    """Let this process have at least two."""
    with ThreadPoolExecutor(1) as idle:
        idle.submit(int).result()
        yield


def programs() -> list[psutil.Process]:
    """Return the fork servers that this process has executed."""
    name = fork_server_process.__name__
    return [
        each for each in psutil.Process().children() if any(name in word for word in _words(each))
    ]


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def test_a_worker_forks_it_from_itself(deployment: ProcessDeployment) -> None:
    worker = psutil.Process(deployment.start_worker("rq", CHILDREN).pid)

    [server] = worker.children()

    assert server.cmdline() == worker.cmdline()


def test_a_worker_whose_server_was_killed_starts_another(
    deployment: ProcessDeployment, tmp_path: Path
) -> None:
    worker = psutil.Process(deployment.start_worker("rq", CHILDREN).pid)
    payload = Gate(begun=tmp_path / "begun", gate=tmp_path / "gate")
    running = deployment.dispatch("steps-until", CHILDREN, payload)
    wait_until(payload.begun.exists, PATIENCE, "the job runs")
    [server] = worker.children()
    family = [server, *server.children()]

    server.kill()
    psutil.wait_procs(family, PATIENCE)
    payload.gate.touch()

    ended = deployment.end_of(running)
    assert (ended.state, ended.claims, ended.crashes) == (JobState.SUCCEEDED, 2, 1), ended.error
    [another] = worker.children()
    assert another.pid != server.pid


def test_where_there_are_threads_it_is_a_program_of_its_own(settings: Settings) -> None:
    with another_thread(), serving(settings) as server, server.child(CLAIM) as child:
        [process] = programs()
        child.join(PATIENCE)

        assert (process.is_running(), child.exitcode) == (True, 0)

    wait_until(lambda: programs() == [], PATIENCE, "it has ended")


def test_what_was_printed_before_is_written_once(empty_sqlite_url: str, tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.fspath(Path(__file__).parents[3]),
        "FAILSOFT_ENGINES": "ledger",
        "FAILSOFT_LEDGER_URL": empty_sqlite_url,
    }

    done = subprocess.run(
        [sys.executable, "-c", PRINTING],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.stdout.splitlines() == ["once", "0"], done.stderr


def test_a_program_that_was_killed_is_executed_again(settings: Settings) -> None:
    with another_thread(), serving(settings) as server:
        server.start()
        [killed] = programs()
        killed.kill()
        wait_until(lambda: killed not in programs(), PATIENCE, "it has ended")

        with server.child(CLAIM) as child:
            child.join(PATIENCE)
            assert child.exitcode == 0


def test_a_server_that_can_open_no_more_files_forks_again_when_it_can(settings: Settings) -> None:
    with another_thread(), serving(settings) as server:
        server.start()
        with server.child(CLAIM) as child:
            child.join(PATIENCE)
        [process] = programs()
        limits = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), limits[1]))

        with pytest.raises(OSError, match="can open no more files"):
            server.child(CLAIM)

        process.rlimit(psutil.RLIMIT_NOFILE, limits)
        with server.child(CLAIM) as another:
            another.join(PATIENCE)
            assert (another.exitcode, programs()) == (0, [process])


def test_a_server_that_ends_before_it_forks_leaves_no_child() -> None:
    talk, _ = Pipe()
    status, of_server = Pipe(duplex=False)
    of_server.close()

    with talk, status, pytest.raises(OSError, match="the fork server has ended"):
        Child(talk, status)


def test_a_child_whose_server_ends_is_taken_for_ended() -> None:
    talk, _ = Pipe()
    status, of_server = Pipe(duplex=False)
    of_server.send_bytes(b"4711")

    with Child(talk, status) as child:
        assert (child.pid, child.is_alive()) == (4711, True)
        of_server.close()
        child.join(PATIENCE)
        assert child.exitcode == UNKNOWN_STATUS


def test_why_nothing_can_be_forked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    talk, _ = Pipe()
    status, of_server = Pipe(duplex=False)

    assert fork_server_process.fork(of_server) is None

    with talk, status, of_server, pytest.raises(OSError, match="Resource temporarily"):
        Child(talk, status)
