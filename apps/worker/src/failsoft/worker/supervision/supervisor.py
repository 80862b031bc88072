"""The parent of worker processes: starts one per engine and queue, and restarts it.

It restarts a process whatever its exit status: RQ's and Dramatiq's own workers end for reasons of
their own (RQ-09, DQ-10), and a job may crash its process.
"""

import logging
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from failsoft.worker.exit_codes import CONFIG, OK
from failsoft.worker.health.report import HealthReport, PostReport
from failsoft.worker.processes.beats import BeatPipe
from failsoft.worker.processes.last_exit import HASTE_SECONDS
from failsoft.worker.processes.sessions import end_session
from failsoft.worker.processes.signals import on_stop_signals
from failsoft.worker.supervision.posts import BRIDGE, MAINTENANCE, label_of
from failsoft.worker.supervision.template import AdoptedProcess, WorkerTemplate, start

logger: logging.Logger = logging.getLogger("failsoft.supervisor")

#: The command of a worker process; its post, `--parent`, `--boot-id` and `--beats` follow.
WORKER = (sys.executable, "-m", "failsoft.worker")
#: The pauses before a worker is restarted, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: After a run of this length, in seconds, the pause is the first one again.
STEADY_SECONDS = 60.0
#: How often the children are checked, in seconds.
LOOK_SECONDS = 0.1
#: How long a process counts as serving after a heartbeat, where the settings say nothing.
WORKER_TTL = timedelta(seconds=10)
#: How much longer than their grace the workers may take to stop, in seconds.
MARGIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DeadWorker:
    """A worker process that ended without giving its jobs back.

    Not a record of the ledger's: a supervisor imports nothing of a ledger.
    """

    boot_id: str
    engine: str
    queue: str
    host: str
    pid: int
    ledger: str


@dataclass(slots=True)
class _Child:
    post: tuple[str, ...]
    ledger: str = ""
    boot_id: str = ""
    process: "subprocess.Popen[bytes] | AdoptedProcess | None" = None
    beats: BeatPipe | None = None
    health: PostReport = field(init=False)
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE

    def __post_init__(self) -> None:
        self.health = PostReport(label_of(self.post, self.ledger))

    @property
    def label(self) -> str:
        return self.health.label

    @property
    def serves_queue(self) -> bool:
        return self.post != (MAINTENANCE,) and BRIDGE not in self.post

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def hang_up(self) -> None:
        if self.beats is not None:
            self.beats.close()
            self.beats = None

    def send(self, signum: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(signum)


@dataclass(slots=True)
class Supervisor:
    """Keeps worker processes running until it is stopped.

    Attributes:
        posts: The arguments of each process: an engine and a queue or `@bridge`, or `maintenance`.
        grace: How long they may take to stop before they are killed.
        environment: The environment of the processes; this one's where None.
        command: The command of a worker process, where it is no fork of the template.
        template: What processes are forked from while there is one. Where one process is all there
            is to start, it ends with the first: it would take more memory than it saves.
        on_death: Called with a worker process that ended without giving its jobs back.
        ledgers: The ledgers each of which has processes of its own; one without a name by default.
        worker_ttl: How long a process counts as serving after a heartbeat.
        on_turn: Called at each turn of its loop.
        health: What it notes for probes.
    """

    posts: Sequence[tuple[str, ...]]
    grace: timedelta
    environment: Mapping[str, str] | None = None
    command: Sequence[str] = WORKER
    template: WorkerTemplate | None = None
    on_death: Callable[[DeadWorker], object] = lambda worker: None
    ledgers: Sequence[str] = ("",)
    worker_ttl: timedelta = WORKER_TTL
    on_turn: Callable[[], object] = lambda: None
    health: HealthReport = field(init=False)
    _children: list[_Child] = field(init=False)
    # A plain number, because a signal handler adds to it: an Event's lock may be held just then.
    _stops: int = field(init=False, default=0)
    _status: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._children = [_Child(post, ledger) for ledger in self.ledgers for post in self.posts]
        self.health = HealthReport([each.health for each in self._children], self.worker_ttl)

    def run(self) -> int:
        """Keep the workers running until a signal or `stop`; return the exit status.

        They end with the thread that runs this, however it ends.
        """
        try:
            while not self._stops:
                for child in self._children:
                    self._check(child)
                self._turn()
                time.sleep(LOOK_SECONDS)
        finally:
            self._stop_all()
        return self._status

    def stop(self) -> None:
        """Stop gracefully; called again, at once."""
        self._stops += 1

    def pids(self) -> dict[str, int]:
        """Return the ids of the running processes by post, as in `rq:default`."""
        return {c.label: c.process.pid for c in self._children if c.process and c.is_alive}

    @property
    def labels(self) -> list[str]:
        """Return the names of the posts, as `rq:default`, whether their processes run or not."""
        return [child.label for child in self._children]

    def on_signals(self) -> None:
        """Stop on SIGTERM or SIGINT, at once on the second."""
        on_stop_signals(self.stop)

    def _turn(self) -> None:
        self.health.turned()
        for child in self._children:
            if child.beats is not None:
                child.health.heard(child.beats.read())
        self.on_turn()

    def _check(self, child: _Child) -> None:
        if child.process is None:
            is_awaited = self.template is not None and self.template.is_loading
            if time.monotonic() >= child.start_at and not is_awaited:
                self._start(child)
            return
        status = child.process.poll()
        if status is None:
            return
        self._note_death(child, status)
        child.process = None
        if status == CONFIG:
            # A restart would read the same settings.
            self._status = CONFIG
            self._stops = max(1, self._stops)
        else:
            self._start_later(child, status)

    def _note_death(self, child: _Child, status: int) -> None:
        process, orderly = child.process, status in (OK, CONFIG)
        child.health.ended(status)
        child.hang_up()
        if process is not None:
            end_session(process.pid)
        if process is not None and not orderly and child.serves_queue:
            engine, queue = child.post
            host = socket.gethostname()
            self.on_death(DeadWorker(child.boot_id, engine, queue, host, process.pid, child.ledger))

    def _start_later(self, child: _Child, status: int) -> None:
        lived = time.monotonic() - child.started_at
        child.pause = FIRST_PAUSE if lived > STEADY_SECONDS else child.pause * 2
        pause = min(child.pause, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        child.start_at = time.monotonic() + pause
        logger.warning("worker %s %s; starts again", child.label, _how(status))

    def _start(self, child: _Child) -> None:
        # Chosen here, so that the child's jobs can be marked when this process reaps it.
        child.boot_id = secrets.token_hex(8)
        child.beats = BeatPipe()
        words = [*child.post, "--parent", str(os.getpid()), "--boot-id", child.boot_id]
        words += ["--ledger", child.ledger] if child.ledger else []
        # A Ctrl-C reaches only the supervisor, which then stops the workers gracefully.
        child.process = start(
            self.template,
            self.command,
            words,
            environment=self.environment,
            handed={"--beats": child.beats.write_end},
        )
        child.beats.handed_over()
        child.started_at = time.monotonic()
        if self.template is not None and len(self._children) == 1:
            self.template.close()

    def _stop_all(self) -> None:
        self.health.stops()
        self.on_turn()
        seconds = self.grace.total_seconds()
        logger.info(
            "stops: what runs ends within %g s, or goes back; again to stop at once", seconds
        )
        self._signal_all(signal.SIGTERM)
        grace = seconds + MARGIN_SECONDS
        self._wait(grace, unless=lambda: self._stops > 1)
        # At the second signal a worker gives its jobs back at once, without waiting for a lease.
        # It is a different one, because two of a kind may arrive as one.
        self._signal_all(signal.SIGINT)
        self._wait(HASTE_SECONDS)
        self._signal_all(signal.SIGKILL)
        # A process that waits for a disk that does not answer survives SIGKILL.
        self._wait(HASTE_SECONDS)
        for child in self._children:
            if child.is_alive:
                logger.error("worker %s was killed and is still there; left behind", child.label)
                child.hang_up()
            elif child.process is not None:
                self._note_death(child, child.process.wait())

    def _wait(self, seconds: float, unless: Callable[[], bool] = lambda: False) -> None:
        deadline = time.monotonic() + seconds
        while any(child.is_alive for child in self._children):
            if time.monotonic() > deadline or unless():
                return
            time.sleep(LOOK_SECONDS / 4)

    def _signal_all(self, signum: signal.Signals) -> None:
        for child in self._children:
            child.send(signum)


def _how(status: int) -> str:
    """Return how a process ended, by its exit status in `subprocess`."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"
