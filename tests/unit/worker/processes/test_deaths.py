"""Which worker processes are known to be dead, and which are not."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.worker.processes.deaths import DeathNotices, NeighbourWatch, has_gone
from failsoft.worker.processes.sessions import birth, this_machine
from tests.servers.processes import PATIENCE, wait_until

LONG = timedelta(hours=1)
HERE = "here"


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(FrozenClock())


@contextmanager
def neighbour() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def record(pid: int, born: str = "", machine: str = HERE) -> WorkerRecord:
    return WorkerRecord(f"boot-{pid}", "rq", "default", "host", pid, 8, machine=machine, birth=born)


def marked(ledger: MemoryLedger, worker: WorkerRecord) -> bool:
    """Let it beat and a neighbour look; return whether it is taken for dead."""
    ledger.beat(worker, LONG)
    NeighbourWatch(ledger, HERE).tick()
    return not ledger.live_workers()


def test_this_process_is_where_it_says() -> None:
    assert this_machine() == this_machine()
    assert birth(os.getpid()) == birth(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="no other system identifies its boots")
def test_on_linux_processes_are_told_apart() -> None:
    assert this_machine()
    with neighbour() as process:
        assert birth(process.pid) not in ("", birth(os.getpid()))


def test_a_process_that_lives_is_not_dead(ledger: MemoryLedger) -> None:
    with neighbour() as process:
        assert not marked(ledger, record(process.pid, birth(process.pid)))


def test_a_process_that_has_ended_is_dead(ledger: MemoryLedger) -> None:
    with neighbour() as process:
        born = birth(process.pid)

    assert marked(ledger, record(process.pid, born))


def test_a_process_that_nobody_has_reaped_is_left_to_its_parent(ledger: MemoryLedger) -> None:
    with neighbour() as process:
        born = birth(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert not marked(ledger, record(process.pid, born))


def test_a_process_id_that_another_process_has_by_now_is_no_sign_of_life(
    ledger: MemoryLedger,
) -> None:
    assert marked(ledger, record(os.getpid(), f"{birth(os.getpid())}0"))


def test_a_process_of_another_machine_or_container_is_never_judged(ledger: MemoryLedger) -> None:
    with neighbour() as process:
        pass

    assert not marked(ledger, record(process.pid, machine="a container of this host"))


def test_nobody_is_judged_where_machines_cannot_be_told_apart(ledger: MemoryLedger) -> None:
    with neighbour() as process:
        pass
    ledger.beat(record(process.pid, machine=""), LONG)

    NeighbourWatch(ledger, "").tick()

    assert ledger.live_workers()


def test_a_process_whose_birth_is_not_known_is_dead_only_if_it_is_not_there() -> None:
    assert not has_gone(record(os.getpid()))


@pytest.fixture
def notices(ledger: MemoryLedger) -> Callable[[], DeathNotices]:
    return lambda: DeathNotices(lambda: (ledger, lambda: None))


def test_a_parent_marks_the_child_that_it_reaped(
    ledger: MemoryLedger, notices: Callable[[], DeathNotices]
) -> None:
    ledger.beat(record(1), LONG)
    deaths = notices()

    deaths.note(record(1))
    deaths.finish(timedelta(seconds=PATIENCE))

    assert not ledger.live_workers()


def test_a_mark_waits_for_a_ledger_that_is_away_and_its_parent_does_not(
    ledger: MemoryLedger, notices: Callable[[], DeathNotices]
) -> None:
    for pid in (1, 2):
        ledger.beat(record(pid), LONG)
    ledger.down()
    deaths = notices()
    for pid in (1, 2):
        deaths.note(record(pid))

    ledger.up()

    wait_until(lambda: not ledger.live_workers(), PATIENCE, "both are marked")


def test_a_ledger_that_cannot_be_opened_is_tried_again(ledger: MemoryLedger) -> None:
    opened: list[bool] = []

    def open_ledger() -> tuple[MemoryLedger, Callable[[], object]]:
        opened.append(True)
        if len(opened) == 1:
            raise LedgerUnavailableError
        return ledger, lambda: None

    ledger.beat(replace(record(1)), LONG)
    deaths = DeathNotices(open_ledger)

    deaths.note(record(1))
    deaths.finish(timedelta(seconds=PATIENCE))

    assert (len(opened), list(ledger.live_workers())) == (2, [])
