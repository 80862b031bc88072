"""The parent of worker processes: starts one per engine and queue, and starts it again.

Always, not only on failure: RQ's and Dramatiq's own workers end for reasons of their own
(RQ-09, DQ-10), and a poison job may take a process with it.
"""

import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType

from understudy.worker.exits import CONFIG

logger = logging.getLogger("understudy.supervisor")

#: The pauses before a worker is started again.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: A worker that lived this long, in seconds, is started again without a pause growing.
STEADY_SECONDS = 60.0
#: How often the children are looked after, in seconds.
LOOK_SECONDS = 0.2


@dataclass(slots=True)
class _Child:
    engine: str
    queue: str
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE

    @property
    def label(self) -> str:
        return f"{self.engine}:{self.queue}"


@dataclass(slots=True)
class Supervisor:
    """Keep worker processes running until told to stop.

    Attributes:
        posts: Pairs of engine and queue, one process each.
        environment: The environment of the processes; this one's where None.
        grace: How long they may take to stop before they are killed.
    """

    posts: Sequence[tuple[str, str]]
    grace: timedelta
    environment: Mapping[str, str] | None = None
    _children: list[_Child] = field(init=False)
    _stopping: threading.Event = field(init=False, default_factory=threading.Event)
    _forced: bool = field(init=False, default=False)
    _status: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Prepare the children; none is started yet."""
        self._children = [_Child(engine, queue) for engine, queue in self.posts]

    def run(self) -> int:
        """Keep the workers running until a signal or `stop`; return the exit status."""
        while not self._stopping.is_set():
            for child in self._children:
                self._look_after(child)
            self._stopping.wait(LOOK_SECONDS)
        self._stop_all()
        return self._status

    def stop(self) -> None:
        """Stop gracefully; called again, at once."""
        self._forced = self._stopping.is_set()
        self._stopping.set()

    def restart(self) -> None:
        """Stop every worker; `run` starts them again. For reloading code."""
        for child in self._children:
            _signal(child, signal.SIGTERM)
            child.pause = FIRST_PAUSE

    def pids(self) -> dict[str, int]:
        """Return the process ids by `engine:queue`."""
        return {c.label: c.process.pid for c in self._children if c.process is not None}

    def on_signals(self) -> None:
        """Stop on SIGTERM or SIGINT, at once on the second."""

        def handle(signum: int, frame: FrameType | None) -> None:
            self.stop()

        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, handle)

    def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                self._start(child)
            return
        status = child.process.poll()
        if status is None:
            return
        child.process = None
        if status == CONFIG:
            # Starting it again would read the same settings.
            self._status = CONFIG
            self._stopping.set()
            return
        lived = time.monotonic() - child.started_at
        child.pause = FIRST_PAUSE if lived > STEADY_SECONDS else child.pause * 2
        pause = min(child.pause, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        child.start_at = time.monotonic() + pause
        logger.warning("worker %s ended with status %s; starts again", child.label, status)

    def _start(self, child: _Child) -> None:
        command = [sys.executable, "-m", "understudy.worker.process", child.engine, child.queue]
        environment = dict(self.environment) if self.environment is not None else None
        # In a session of its own: a Ctrl-C at the terminal reaches the supervisor alone, which
        # then stops the workers in order.
        child.process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - our own module
        child.started_at = time.monotonic()

    def _stop_all(self) -> None:
        for child in self._children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + self.grace.total_seconds() + 5
        while self._alive() and time.monotonic() < deadline and not self._forced:
            time.sleep(LOOK_SECONDS / 4)
        for child in self._alive():
            _signal(child, signal.SIGKILL)
        for child in self._children:
            if child.process is not None:
                child.process.wait()

    def _alive(self) -> list[_Child]:
        return [c for c in self._children if c.process is not None and c.process.poll() is None]


def _signal(child: _Child, signum: signal.Signals) -> None:
    if child.process is not None and child.process.poll() is None:
        child.process.send_signal(signum)
