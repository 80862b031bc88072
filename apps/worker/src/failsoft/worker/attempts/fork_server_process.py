"""The process that forks the children of attempts, with all that each of them would make itself.

It has one thread, so that no child gets a lock that no thread of its own will release. It ends with
its worker, and a SIGTERM sent to every process of a service does not end it (RQ-15): the signal is
blocked and not ignored, so that one sent to a child is delivered once the child has its handler.
See docs/decisions/0006 and 0106.
"""

import importlib
import os
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

from failsoft.job_engine.attempt.own_process import flush_standard_streams
from failsoft.job_engine.definitions.callables import allow_callables
from failsoft.job_engine.errors import FailsoftError
from failsoft.ledger import SqlLedger
from failsoft.worker.attempts.child import run_attempt
from failsoft.worker.configuration.settings import Settings, adopt
from failsoft.worker.exit_codes import FAILURE, OK
from failsoft.worker.processes.garbage import collect_seldom
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.wiring import ALONE, modules_of_children, open_database

#: Begins what is written in place of a child's process id if there is none.
NO_CHILD = b"no child: "
#: How many pipes come with an order.
_PIPES = 2


def serve(orders: socket.socket, settings: Settings, parent: int) -> NoReturn:
    """Fork a child for each order until the worker closes its end; be that child, or exit.

    Args:
        orders: One byte for each child, with the descriptors of two pipes: the one over which it
            gets its attempt and reports, and the one to which its id and its exit status go.
        settings: Those of the worker, as it read them.
        parent: The worker's process id.
    """
    status = FAILURE
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        _read_nothing()
        shared = tuple(prepared(settings))
        # Else each child would print it again.
        flush_standard_streams()
        _Forks(orders).serve()
        status = OK
        # What is open is shared by the children for as long as anything refers to it.
        del shared
    except BaseException:  # noqa: BLE001 - this process ends here in any case
        traceback.print_exc()
    finally:
        flush_standard_streams()
        os._exit(status)


def main(orders: int, setup: int) -> NoReturn:
    """Serve in a process of its own.

    Args:
        orders: The descriptor of the socket.
        setup: The descriptor of the pipe with the settings.
    """
    collect_seldom()
    parent = os.getppid()
    with Connection(setup) as pipe:
        settings: Settings = pipe.recv()
    adopt(settings)
    serve(socket.socket(fileno=orders), settings, parent)


def prepared(settings: Settings) -> Iterator[SqlLedger]:
    """Make what the children find: modules, ledgers that are connected to nothing, statements."""
    allow_callables(settings.callables)
    for name in modules_of_children(settings):
        # A child says what is wrong with its job's module, in its attempt.
        with suppress(Exception):
            importlib.import_module(name)
    several = [settings.of_ledger(name) for name in settings.ledgers]
    for each in several or [settings]:
        # As of its ledger.
        with suppress(FailsoftError):
            ledger = SqlLedger(open_database(each, ALONE))
            ledger.prepare_attempts()
            yield ledger


class _Forks:
    """The children that run, in the process that forks them.

    Args:
        orders: See `serve`.
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._statuses: dict[int, Connection[Any, Any]] = {}
        # A signal alone would interrupt no wait.
        self._woken, self._wakes = socket.socketpair()
        for end in (self._woken, self._wakes):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Fork for each order until there can be no more."""
        is_open = True
        while is_open:
            ready = wait([self._orders, self._woken])
            if self._woken in ready:
                self._report_ended()
            if self._orders in ready:
                is_open = self._take()

    def _take(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._orders, 1, _PIPES)
        if not order:
            return False
        if len(descriptors) < _PIPES:
            # The limit of open files is reached: without its pipe the worker knows of no child.
            for each in descriptors:
                os.close(each)
            return True
        talk: Connection[Any, Any] = Connection(descriptors[0])
        status: Connection[Any, Any] = Connection(descriptors[1])
        with talk:
            pid = fork(status)
            if pid is None:
                status.close()
                return True
            self._statuses[pid] = status
            if pid == 0:
                self._let_go()
                _be_child(talk)
        return True

    def _let_go(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._orders, self._woken, self._wakes):
            end.close()
        for pipe in self._statuses.values():
            pipe.close()

    def _report_ended(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                # What a job's module has started when it was imported is none of them.
                if pid in self._statuses:
                    with suppress(OSError), self._statuses.pop(pid) as pipe:
                        pipe.send_bytes(b"%d" % os.waitstatus_to_exitcode(status))


def fork(status: "Connection[Any, Any]") -> int | None:
    """Fork, and write to `status` the id of the child, or why there is none.

    Returns:
        0 in the child, its process id here; None if there is none.
    """
    try:
        pid = os.fork()
    except OSError as error:
        with suppress(OSError):
            status.send_bytes(NO_CHILD + str(error).encode())
        return None
    if pid:
        # It cannot be sent where the worker has ended, which this process sees next.
        with suppress(OSError):
            status.send_bytes(b"%d" % pid)
    return pid


def _be_child(talk: "Connection[Any, Any]") -> NoReturn:
    try:
        claim, settings = talk.recv()
    except BaseException:  # noqa: BLE001 - this process ends here in any case
        traceback.print_exc()
        os._exit(FAILURE)
    run_attempt(claim, talk, settings)


def _read_nothing() -> None:
    # A job that asks has no answer, on a terminal neither.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
