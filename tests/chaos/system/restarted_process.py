"""One process of the system under test, started again whenever it is gone."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import psutil

from tests.chaos.system.skew import Skew
from tests.deployments.effect_log import now
from tests.servers.processes import Process, is_alive
from tests.servers.proxy import TcpProxy

#: How long an actor that ended stays away, in seconds.
PAUSE = 0.3


@dataclass(frozen=True, slots=True)
class Freeze:
    """A stretch in which no process of an actor ran, in microseconds of the monotonic clock."""

    actor: str
    began: int
    ended: int


@dataclass
class Actor:
    """A process with a name that outlives its death.

    Attributes:
        role: `dispatcher`, the name of the engine of a worker, or `maintenance`.
        links: The proxies on its way to each server.
        boots: How often it was started.
    """

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    skew: Skew
    links: Mapping[str, TcpProxy]
    boots: int = 0
    freezes: list[Freeze] = field(default_factory=list)
    _past: list[Process] = field(default_factory=list)
    _gone_at: float | None = None
    _wanted: bool = True
    _frozen_at: int | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def process(self) -> Process | None:
        """The process as it is now; None if none runs."""
        current = self._past[-1] if self._past else None
        return current if current is not None and current.is_running else None

    def look_after(self) -> None:
        """Start the process if it has been gone for a while."""
        with self._lock:
            if not self._wanted or self.process is not None:
                self._gone_at = None
                return
            self._gone_at = self._gone_at or monotonic()
            if monotonic() - self._gone_at >= PAUSE or not self._past:
                self._start()

    def freeze(self) -> bool:
        """SIGSTOP the whole tree; False if nothing runs."""
        with self._lock:
            process = self.process
            if process is None or self._frozen_at is not None:
                return False
            self._frozen_at = now()
            process.freeze()
            return True

    def thaw(self) -> None:
        """SIGCONT the whole tree."""
        with self._lock:
            if self._frozen_at is not None:
                if self._past:
                    self._past[-1].thaw()
                self.freezes.append(Freeze(self.name, self._frozen_at, now()))
                self._frozen_at = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Do not start it again meanwhile."""
        self._wanted = False
        try:
            yield
        finally:
            self._wanted = True

    def children(self) -> list[psutil.Process]:
        """What the process started, and what lives of it."""
        process = self.process
        if process is None:
            return []
        return [each for each in process.tree() if each.pid != process.pid and is_alive(each)]

    def retire(self, deadline: float) -> None:
        """SIGTERM it for good, and wait."""
        self._wanted = False
        with self._lock:
            self.thaw()
            process = self.process
        if process is not None:
            process.terminate(deadline)

    def end(self) -> None:
        """SIGKILL everything that ever came of it."""
        self._wanted = False
        with self._lock:
            for process in self._past:
                process.kill()

    def _start(self) -> None:
        self.boots += 1
        self._gone_at = None
        environment = {
            name: text.replace("{boot}", str(self.boots)) for name, text in self.environment.items()
        }
        self._past.append(Process(*self.command, log=self.log, env=environment))
