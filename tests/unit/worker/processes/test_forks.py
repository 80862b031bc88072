"""A fork ends with the process that forked it, whenever that one dies."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.servers.processes import PATIENCE, pid_is_alive, wait_until

#: The child's hooks run only when its parent is dead, as on a busy machine.
PROGRAM = """
import os, signal, sys, threading, time

from failsoft.worker.processes.forks import guard_forks

PARENT = os.getpid()


def late():
    while os.getppid() == PARENT:
        time.sleep(0.01)


def fork():
    if child := os.fork():
        print(child, flush=True)
        os.kill(PARENT, signal.SIGKILL)
    while True:
        time.sleep(60)


os.register_at_fork(after_in_child=late)
guard_forks()
if sys.argv[1] == "main":
    fork()
threading.Thread(target=fork).start()
"""


@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_fork_ends_though_its_parent_died_before_the_child_ran(thread: str) -> None:
    command = (sys.executable, "-c", PROGRAM, thread)

    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            wait_until(lambda: not pid_is_alive(child), PATIENCE, "the fork has ended")
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
