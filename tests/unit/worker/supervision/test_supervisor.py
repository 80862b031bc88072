"""The supervisor keeps its processes running until it is stopped."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from failsoft.worker.exit_codes import CONFIG
from failsoft.worker.supervision.supervisor import MARGIN_SECONDS, DeadWorker, Supervisor
from tests.servers.processes import PATIENCE, end, is_alive, wait_until

#: Notes its arguments, then does what the test says.
PROGRAM = """
import os, signal, sys, time
with open({notes!r}, "a") as notes:
    notes.write(" ".join(sys.argv[1:]) + os.environ.get("MORE", "") + "\\n")
def note(signum, frame):
    with open({notes!r}, "a") as notes:
        notes.write(signal.Signals(signum).name + "\\n")
{body}
"""
ENDS_AT_SIGTERM = "time.sleep(60)"
ENDS_AT_SIGINT = """
signal.signal(signal.SIGTERM, note)
signal.signal(signal.SIGINT, lambda *_: (note(*_), sys.exit(0)))
with open({notes!r}, "a") as notes: notes.write("ready\\n")
while True: time.sleep(60)
"""
NEVER_ENDS = """
signal.signal(signal.SIGTERM, note)
signal.signal(signal.SIGINT, note)
with open({notes!r}, "a") as notes: notes.write("ready\\n")
while True: time.sleep(60)
"""


class Run:
    """A supervisor in a thread of its own, and what its processes noted."""

    def __init__(self, folder: Path, body: str, posts: Sequence[tuple[str, ...]]) -> None:
        self._notes = folder / "notes"
        self._notes.touch()
        self.status: int | None = None
        self._body = body.replace("{notes!r}", repr(str(self._notes)))
        self.supervisor = self._supervisor(posts)
        self._thread = threading.Thread(target=self._run)
        self._pids: set[int] = set()

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        self.supervisor.environment = environment
        self._thread.start()

    @property
    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines()

    def wait_for(self, note: str) -> None:
        wait_until(lambda: note in self.notes, PATIENCE, f"{note} among {self.notes}")

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(pid) for pid in self.supervisor.pids().values()]

    def join(self, deadline: float = 10) -> int | None:
        self._thread.join(deadline)
        assert not self._thread.is_alive(), "expected the supervisor to end"
        return self.status

    def _supervisor(self, posts: Sequence[tuple[str, ...]]) -> Supervisor:
        text = PROGRAM.format(notes=str(self._notes), body=self._body)
        # The grace and its margin together are a moment.
        grace = timedelta(seconds=0.2 - MARGIN_SECONDS)
        return Supervisor(posts, grace, command=(sys.executable, "-c", text))

    def _run(self) -> None:
        self.status = self.supervisor.run()


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def begin(
        body: str, *posts: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> Run:
        runs.append(Run(tmp_path, body, posts or (("rq", "default"),)))
        runs[-1].start(environment)
        return runs[-1]

    yield begin
    for run in runs:
        run.supervisor.stop()
        end(run.processes())
        run.join()


def test_each_post_has_a_process_that_has_its_parent(start: Start) -> None:
    run = start(ENDS_AT_SIGTERM, ("rq", "default"), ("maintenance",))

    wait_until(lambda: len(run.notes) == 2, PATIENCE, "two processes")
    parent = psutil.Process().pid
    started = sorted(note.split(" --boot-id ") for note in run.notes)
    assert [before for before, _ in started] == [
        f"maintenance --parent {parent}",
        f"rq default --parent {parent}",
    ]
    assert len({after.split()[0] for _, after in started}) == len(started)
    assert set(run.supervisor.pids()) == {"rq:default", "maintenance"}


def test_the_processes_get_the_environment_they_are_given(start: Start) -> None:
    run = start(ENDS_AT_SIGTERM, environment={"MORE": " and more"})

    wait_until(lambda: run.notes, PATIENCE, "a note")
    assert run.notes[0].endswith(" and more")


@pytest.mark.parametrize("status", [0, 1, 69])
def test_a_process_that_ends_is_started_again_whatever_it_says(
    start: Start, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    run = start(f"sys.exit({status})")

    wait_until(lambda: len(run.notes) >= 2, PATIENCE, "a second start")
    assert caplog.messages[0] == f"worker rq:default ended with status {status}; starts again"


def test_a_process_that_is_killed_is_started_again(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    run = start(ENDS_AT_SIGTERM)
    wait_until(lambda: run.notes, PATIENCE, "the first start")

    end(run.processes())

    wait_until(lambda: len(run.notes) == 2, PATIENCE, "a second start")
    assert caplog.messages == ["worker rq:default was killed by SIGKILL; starts again"]


def test_a_wrong_setting_ends_them_all(start: Start) -> None:
    body = f"sys.exit({CONFIG}) if sys.argv[1] == 'rq' else time.sleep(60)"

    run = start(body, ("rq", "default"), ("dramatiq", "default"))

    assert run.join() == CONFIG
    assert run.supervisor.pids() == {}


def test_a_stop_ends_every_process_in_order(start: Start) -> None:
    run = start(ENDS_AT_SIGTERM, ("rq", "a"), ("rq", "b"))
    wait_until(lambda: len(run.notes) == 2, PATIENCE, "two processes")
    family = run.processes()

    run.supervisor.stop()

    assert run.join() == 0
    assert not any(map(is_alive, family))


def test_a_process_that_needs_more_than_its_grace_is_signalled_to_hurry(start: Start) -> None:
    run = start(ENDS_AT_SIGINT)
    run.wait_for("ready")

    run.supervisor.stop()

    assert run.join() == 0
    assert run.notes[2:] == ["SIGTERM", "SIGINT"]


def test_a_second_stop_does_not_wait_for_the_grace(start: Start) -> None:
    run = start(ENDS_AT_SIGINT)
    run.supervisor.grace = timedelta(hours=1)
    run.wait_for("ready")

    run.supervisor.stop()
    run.wait_for("SIGTERM")
    run.supervisor.stop()

    assert run.join() == 0
    assert run.notes[2:] == ["SIGTERM", "SIGINT"]


def test_a_process_that_does_not_hurry_is_killed(start: Start) -> None:
    run = start(NEVER_ENDS)
    run.wait_for("ready")
    (stubborn,) = run.processes()

    run.supervisor.stop()

    assert run.join() == 0
    assert not is_alive(stubborn)
    assert run.notes[2:] == ["SIGTERM", "SIGINT"]


def test_a_process_that_fails_at_once_is_started_ever_more_slowly(start: Start) -> None:
    run = start("sys.exit(1)")

    wait_until(lambda: len(run.notes) >= 3, PATIENCE, "a third start")
    (child,) = run.supervisor._children
    assert child.pause >= 2


def test_a_signal_stops_it(start: Start) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    run = start(ENDS_AT_SIGTERM)
    wait_until(lambda: run.notes, PATIENCE, "a process")
    try:
        run.supervisor.on_signals()
        signal.raise_signal(signal.SIGINT)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

    assert run.join() == 0


def test_a_child_that_dies_is_reported_by_its_boot_id_and_one_that_ends_in_order_is_not(
    tmp_path: Path,
) -> None:
    died: list[DeadWorker] = []
    body = "time.sleep(60) if os.path.exists({notes!r} + '.stay') else sys.exit(3)"
    run = Run(tmp_path, body, (("rq", "default"), ("maintenance",)))
    run.supervisor.on_death = died.append
    run.start()
    wait_until(lambda: died, PATIENCE, "a death")
    Path(f"{tmp_path / 'notes'}.stay").touch()
    run.supervisor.stop()
    run.join()

    started = [note for note in run.notes if note.startswith("rq default")]
    assert f" --boot-id {died[0].boot_id} " in started[0]
    assert {(each.engine, each.queue) for each in died} == {("rq", "default")}
