"""The fork server of a worker process, and the children that it has forked."""

import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from failsoft.job_engine.attempt.own_process import flush_standard_streams
from failsoft.job_engine.records.job import Claim
from failsoft.worker.attempts.fork_server_process import NO_CHILD, serve
from failsoft.worker.configuration.settings import Settings

#: Runs the server in an interpreter of its own, that finds modules where this one does.
_PROGRAM = """
import sys
sys.path[:] = {path!r}
from failsoft.worker.attempts.fork_server_process import main
main({orders}, {setup})
"""
#: The exit status of a child whose fork server ended first.
UNKNOWN_STATUS = 255


class Child:
    """The child process of one attempt.

    Attributes:
        pid: Its process id.
        talk: Its attempt is sent over it, and `ChildReport` comes back.
    """

    def __init__(self, talk: "Connection[Any, Any]", status: "Connection[Any, Any]") -> None:
        self.talk = talk
        self._status = status
        self._lock = threading.Lock()
        self._exitcode: int | None = None
        try:
            first = status.recv_bytes()
        except EOFError:
            raise OSError("the fork server has ended, or can open no more files") from None
        if first.startswith(NO_CHILD):
            raise OSError(first.removeprefix(NO_CHILD).decode())
        self.pid: int = int(first)

    @property
    def exitcode(self) -> int | None:
        """Return its exit status, negative if a signal ended it; None while it runs."""
        self.join(0)
        return self._exitcode

    def is_alive(self) -> bool:
        """Return whether it runs."""
        return self.exitcode is None

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for so many seconds."""
        if self._exitcode is not None or not wait([self._status], timeout):
            return
        with self._lock:
            if self._exitcode is None:
                try:
                    self._exitcode = int(self._status.recv_bytes())
                except (EOFError, OSError):
                    self._exitcode = UNKNOWN_STATUS

    def close(self) -> None:
        """Close both pipes."""
        self.talk.close()
        self._status.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class ForkServer:
    """Forks children for attempts, from a process without threads that has their modules loaded.

    Args:
        settings: Those of this process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._orders: socket.socket | None = None
        # The server's process id, if this process has to wait for it.
        self._forked: int | None = None

    def start(self) -> None:
        """Fork the server from this process, which has loaded what it needs.

        Where this process has other threads, the server loads all of it anew.

        Raises:
            OSError: There is no process for it.
        """
        with self._lock:
            self._start()

    def child(self, claim: Claim) -> Child:
        """Start a child that runs an attempt; a server that has ended is started again.

        Raises:
            OSError: There is no child.
        """
        talk, of_child = Pipe()
        status, of_server = Pipe(duplex=False)
        with ExitStack() as unless_started:
            unless_started.callback(talk.close)
            unless_started.callback(status.close)
            with of_child, of_server, self._lock:
                descriptors = [of_child.fileno(), of_server.fileno()]
                socket.send_fds(self._running(), [b"f"], descriptors)
            child = Child(talk, status)
            talk.send((asdict(claim), self._settings.for_child()))
            unless_started.pop_all()
            return child

    def close(self) -> None:
        """Let the server end, and with it what it has forked."""
        with self._lock:
            self._forget()

    def _running(self) -> socket.socket:
        # It writes nothing: what can be read is its end.
        if self._orders is not None and wait([self._orders], 0):
            self._forget()
            if self._forked is not None:
                with suppress(ChildProcessError):
                    os.waitpid(self._forked, 0)
                self._forked = None
        return self._orders or self._start()

    def _forget(self) -> None:
        if self._orders is not None:
            self._orders.close()
            self._orders = None

    def _start(self) -> socket.socket:
        # What is not written yet would be written twice.
        flush_standard_streams()
        ours, theirs = socket.socketpair()
        with ExitStack() as unless_started, theirs:
            unless_started.callback(ours.close)
            if threading.active_count() == 1:
                self._forked = self._fork(ours, theirs)
            else:
                self._execute(theirs)
            unless_started.pop_all()
        self._orders = ours
        return ours

    def _fork(self, ours: socket.socket, theirs: socket.socket) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            serve(theirs, self._settings, parent)
        return pid

    def _execute(self, theirs: socket.socket) -> None:
        setup, sent = Pipe(duplex=False)
        numbers = theirs.fileno(), setup.fileno()
        text = _PROGRAM.format(path=sys.path, orders=numbers[0], setup=numbers[1])
        started: Future[subprocess.Popen[bytes]] = Future()

        def run() -> None:
            # The kernel ends the server with the thread that started it: this one, not a slot's.
            try:
                process = subprocess.Popen((sys.executable, "-c", text), pass_fds=numbers)  # noqa: S603 - our own module
            except OSError as error:
                started.set_exception(error)
                return
            started.set_result(process)
            process.wait()

        with setup, sent:
            threading.Thread(target=run, name="failsoft-fork-server", daemon=True).start()
            started.result()
            setup.close()
            sent.send(self._settings.for_child())
