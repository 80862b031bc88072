"""A skewed process has a wrong wall clock, right waits and a right monotonic clock."""

import sys
from pathlib import Path
from time import monotonic, time

import pytest

from tests.chaos.system.skew import HOUR, Skew, build_library
from tests.servers.processes import Processes

#: Kafka's library waits until a moment of the wall clock.
PROGRAM = """
import sys, time
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "any", "log_level": 0})
print("told", time.time(), flush=True)
while abs(time.time() - float(sys.argv[1])) < 1800:
    time.sleep(0.01)
began = time.monotonic()
time.sleep(0.2)
consumer.poll(0.2)
print("skewed", time.time(), began, time.monotonic(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the library is for Linux")
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_running_process_is_skewed_and_still_keeps_time(
    tmp_path: Path, processes: Processes, seconds: int
) -> None:
    library = build_library(tmp_path)
    if library is None:
        pytest.skip("expected a C compiler, got none")
    skew = Skew(tmp_path / "offset", library)
    process = processes.python("-c", PROGRAM, str(time()), env=skew.environment)
    process.wait_for_output("told")

    skew.set(seconds)
    assert process.wait() == 0

    wall, began, ended = map(float, process.output.split("skewed ")[1].split())
    assert abs(wall - time() - seconds) < 60
    assert 0.4 <= ended - began < 30
    assert abs(ended - monotonic()) < 60
