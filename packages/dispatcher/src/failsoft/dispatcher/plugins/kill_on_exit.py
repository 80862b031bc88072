"""Killing the processes that this one started when it ends, even by SIGKILL.

A process in a session of its own (so that Ctrl-C does not reach it) would otherwise outlive a
parent that could not clean up.
"""

import os
import subprocess
import weakref
from typing import IO, cast

_SCRIPT = 'while read -r pid; do all="$all $pid"; done; [ -z "$all" ] || kill -KILL $all'


class KillOnExit:
    """Kills the processes it watches when this Python process ends, however it ends.

    A small shell reads from a pipe that only this process holds open, and kills when it closes.
    """

    # Not PR_SET_PDEATHSIG: that fires when the starting *thread* ends, and exists on Linux only.

    def __init__(self) -> None:
        self._shell = subprocess.Popen(  # noqa: S603 - the words above, no input
            ["/bin/sh", "-c", _SCRIPT],
            bufsize=0,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._pipe = cast("IO[bytes]", self._shell.stdin)
        _close_in_forks(self._pipe)

    def watch(self, pid: int) -> None:
        """Kill the process ``pid``, too, when this process ends."""
        self._pipe.write(b"%d\n" % pid)

    def release(self) -> None:
        """Watch no process any more, without killing any."""
        self._shell.kill()
        self._shell.wait()
        self._pipe.close()


def _close_in_forks(pipe: IO[bytes]) -> None:
    """Keep a forked child from holding the pipe open beyond the end of this process."""
    reference = weakref.ref(pipe)

    def close() -> None:
        held = reference()
        if held is not None:
            held.close()

    os.register_at_fork(after_in_child=close)
