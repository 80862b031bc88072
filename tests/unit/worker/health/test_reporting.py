"""The state file and the notifications of a supervisor."""

import os
import socket
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.worker.health.report import STUCK_SECONDS, HealthReport, PostReport
from failsoft.worker.health.reporting import EVERY_SECONDS, Reporting
from failsoft.worker.health.state_file import State, StateFile, runtime_folder, states
from failsoft.worker.processes.beats import SERVING

POST = "rq:default"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Manager:
    """A service manager's socket."""

    def __init__(self, folder: Path, *, is_abstract: bool) -> None:
        self._folder = folder
        self.name = f"@failsoft-{uuid.uuid4()}" if is_abstract else str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(self.name.replace("@", "\0", 1) if is_abstract else self.name)

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.name, "RUNTIME_DIRECTORY": str(self._folder / "run")}

    def received(self) -> list[str]:
        try:
            return self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path, is_abstract=request.param == "abstract")
    with found.socket:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def post(clock: Clock) -> PostReport:
    return PostReport(POST, clock)


@pytest.fixture
def report(clock: Clock, post: PostReport) -> HealthReport:
    return HealthReport([post], timedelta(seconds=10), clock)


def test_systemd_hears_that_the_unit_is_ready_and_lives(
    report: HealthReport, post: PostReport, clock: Clock, manager: Manager
) -> None:
    reporting = Reporting(report, manager.environment, clock)

    reporting.tick()
    assert manager.received() == ["WATCHDOG=1", f"STATUS={POST} has not served within 10 s"]
    reporting.tick()
    assert manager.received() == []
    post.heard(SERVING)
    reporting.tick()
    assert manager.received() == ["READY=1", "WATCHDOG=1", "STATUS=every post serves"]
    clock.now += EVERY_SECONDS
    reporting.tick()
    assert manager.received() == ["READY=1", "WATCHDOG=1", "STATUS=every post serves"]


def test_systemd_hears_nothing_of_a_watchdog_from_a_worker_that_is_not_live(
    report: HealthReport, post: PostReport, clock: Clock, manager: Manager
) -> None:
    post.heard(SERVING)
    clock.now += STUCK_SECONDS + 1

    Reporting(report, manager.environment, clock).tick()

    assert "WATCHDOG=1" not in manager.received()


def test_a_socket_that_is_gone_is_no_error(report: HealthReport, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "no"), "RUNTIME_DIRECTORY": str(tmp_path)}

    Reporting(report, environment).tick()

    assert len(list(states(tmp_path))) == 1


def test_the_state_is_read_as_it_was_written(report: HealthReport, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    reporting = Reporting(report, {"RUNTIME_DIRECTORY": f"{folder}:{tmp_path}/other"})

    reporting.tick()

    ((age, state),) = states(folder)
    assert state == State.of(report)
    assert state.pid == os.getpid()
    assert age >= 0
    assert folder.stat().st_mode & 0o777 == 0o700
    reporting.close()
    assert list(folder.iterdir()) == []


def test_a_folder_without_a_worker_has_no_state(tmp_path: Path) -> None:
    assert list(states(tmp_path / "none")) == []


def test_a_link_in_place_of_the_folder_is_refused(
    report: HealthReport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    file = StateFile(folder)

    file.write(State.of(report))
    file.write(State.of(report))

    assert list((tmp_path / "elsewhere").iterdir()) == []
    (message,) = caplog.messages
    assert "`failsoft health` finds nothing: expected" in message
    with pytest.raises(OSError, match="another's"):
        list(states(folder))


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/run/user/1"}, "/run/a"),
        ({"XDG_RUNTIME_DIR": "/run/user/1"}, "/run/user/1/failsoft"),
        ({"TMPDIR": "/var/tmp"}, f"/var/tmp/failsoft-{os.geteuid()}"),  # noqa: S108 - only a name
        ({}, f"/tmp/failsoft-{os.geteuid()}"),  # noqa: S108 - only a name
    ],
)
def test_the_folder_is_the_services_the_sessions_or_a_temporary_one(
    environment: dict[str, str], folder: str
) -> None:
    assert runtime_folder(environment) == Path(folder)
