"""Processes that tests start are told apart from their orphans, and end with them."""

import os
import signal

import pytest

from tests.servers.processes import Processes, is_alive, wait_until


def test_a_process_takes_its_orphans_with_it(processes: Processes) -> None:
    parent = processes.start("sh", "-c", "(setsid sleep 60 & sleep 60) & echo up; wait")
    parent.wait_for_output("up")
    wait_until(lambda: len(parent.tree()) >= 3, 5, "the grandchildren run")
    family = parent.tree()

    os.kill(parent.pid, signal.SIGKILL)
    parent.kill()

    assert not any(map(is_alive, family))


def test_a_process_that_does_not_end_shows_its_log(processes: Processes) -> None:
    stubborn = processes.start("sh", "-c", "trap '' TERM; echo I stay; sleep 60; sleep 60")
    stubborn.wait_for_output("I stay")

    with pytest.raises(AssertionError, match="I stay"):
        stubborn.terminate(deadline=0.1)
