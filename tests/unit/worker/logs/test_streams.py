"""Standard streams that are closed, full or not read: what is logged is lost, and nothing stops."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from failsoft.worker.logs.streams import PatientHandler, writer
from tests.servers.processes import PATIENCE, wait_until

LINE = "x" * 1000
MANY = 500

pytestmark = pytest.mark.timeout(120)


def log_to(handler: logging.Handler, text: str) -> None:
    handler.emit(logging.LogRecord("a", logging.INFO, __file__, 1, text, (), None))


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """What is read from, and what is written to."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (each.detach() for each in socket.socketpair())
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read_all(descriptor: int) -> str:
    os.set_blocking(descriptor, False)
    text = b""
    while True:
        try:
            text += os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return text.decode()


def test_what_is_not_read_is_counted_and_waited_for_once(ends: tuple[int, int]) -> None:
    reading, writing = ends
    handler = PatientHandler(writing)
    logging_ends = threading.Event()

    def log() -> None:
        for _ in range(MANY):
            log_to(handler, LINE)
        logging_ends.set()

    threading.Thread(target=log, daemon=True).start()
    wait_until(logging_ends.is_set, PATIENCE, "every line is written or lost")
    before = read_all(reading).splitlines()
    log_to(handler, "again")

    after = "\n".join([*before, *read_all(reading).splitlines()]).splitlines()
    written = after.count(LINE)
    assert 0 < written < MANY
    note = f"{MANY - written} lines of the log were lost: standard error could not be written"
    assert after[-2:] == [note, "again"]
    handler.close()


def test_the_flags_of_a_pipe_that_others_share_stay_as_they_are() -> None:
    reading, writing = os.pipe()
    writer(writing).close()
    assert os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("kind", ["full", "closed", "gone"])
def test_a_stream_that_takes_nothing_stops_nothing(kind: str) -> None:
    reading, writing = os.pipe()
    if kind == "full":
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    os.close(reading)
    handler = PatientHandler(writing)
    if kind == "closed":
        os.close(writing)

    for _ in range(MANY):
        log_to(handler, LINE)
    if kind != "closed":
        os.close(writing)


START = """
import sys
from failsoft.worker.logs.streams import open_standard_streams
open_standard_streams()
print("out"); print("err", file=sys.stderr)
open({path!r}, "w").write("went on")
for descriptor in (0, 1, 2):
    import os
    os.fstat(descriptor)
"""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_process_that_is_started_without_streams_gets_some(closed: str, tmp_path: Path) -> None:
    path = tmp_path / "noted"
    code = START.format(path=str(path))

    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code], check=False
    )

    assert (ended.returncode, path.read_text()) == (0, "went on")
