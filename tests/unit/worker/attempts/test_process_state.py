"""What a job changes of the process that it shares is as it was when it has ended."""

import gc
import locale
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from failsoft.worker.attempts.process_state import ProcessState
from tests.servers.processes import PATIENCE


def umask() -> int:
    now = os.umask(0o77)
    os.umask(now)
    return now


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "folder": (Path.cwd, lambda: os.chdir("/")),
    "umask": (umask, lambda: os.umask(0)),
    "signal mask": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}),
    ),
    "alarm": (lambda: signal.getitimer(signal.ITIMER_REAL), lambda: signal.alarm(1000)),
    "locale": (
        lambda: locale.setlocale(locale.LC_ALL),
        lambda: locale.setlocale(locale.LC_NUMERIC, "C.UTF-8"),
    ),
    "warnings": (lambda: list(warnings.filters), lambda: warnings.simplefilter("module")),
    "warnings without any": (lambda: list(warnings.filters), warnings.resetwarnings),
    "socket time-out": (socket.getdefaulttimeout, lambda: socket.setdefaulttimeout(0.5)),
    "recursion": (sys.getrecursionlimit, lambda: sys.setrecursionlimit(5000)),
    "garbage": (gc.isenabled, gc.disable),
}


# By a thread: the other way sets the alarm that this is about.
@pytest.mark.timeout(60, method="thread")
@pytest.mark.parametrize("name", CHANGES)
def test_it_is_put_back_also_if_the_job_raises(name: str) -> None:
    look, change = CHANGES[name]
    surroundings, found = ProcessState(), []

    def attempt() -> None:
        found.append(look())
        with suppress(ZeroDivisionError), surroundings.kept():
            change()
            found.append(look())
            _ = 1 / 0
        found.append(look())

    in_a_thread(attempt)

    before, changed, after = found
    assert changed != before
    assert after == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a thread its own directory")
def test_another_job_that_runs_keeps_its_folder(tmp_path: Path) -> None:
    surroundings = ProcessState()
    moved, looked = threading.Event(), threading.Event()
    found: list[Path] = []

    def moves() -> None:
        with surroundings.kept():
            os.chdir(tmp_path)
            moved.set()
            assert looked.wait(PATIENCE)
            found.append(Path.cwd())

    def stays() -> None:
        with surroundings.kept():
            assert moved.wait(PATIENCE)
            found.append(Path.cwd())
        looked.set()

    home = Path.cwd()
    threads = [threading.Thread(target=each) for each in (moves, stays)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == [home, tmp_path]


def test_a_folder_that_is_gone_harms_no_later_job(tmp_path: Path) -> None:
    surroundings, found = ProcessState(), []
    gone = tmp_path / "gone"
    gone.mkdir()

    def attempts() -> None:
        with surroundings.kept():
            os.chdir(gone)
            gone.rmdir()
        with surroundings.kept():
            found.append(Path.cwd())

    in_a_thread(attempts)
    assert found == [Path.cwd()]
