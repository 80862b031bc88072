"""psycopg's connection, which waits no longer than the ledger's call may take.

Where psycopg waits, for a connection or for an answer, it is a generator that is resumed whenever
the socket is ready, and at least every tenth of a second. A timeout there needs no second thread,
no signal and no system call; the connection is closed, because its answer may still come.
"""

import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg.rows import TupleRow

from failsoft.ledger.database.answers import ANSWERS
from failsoft.ledger.database.call_limit import RUNNING

T = TypeVar("T")

_Wait = Generator[Any, Any, T]


class SilentServerError(psycopg.OperationalError):
    """The server did not answer in the time that the call has; the connection is closed.

    Attributes:
        is_silence: What `outages` recognises it by.
    """

    is_silence: bool = True


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection whose waits are over when the ledger's call must be.

    Attributes:
        longest: How long it waits for an answer outside the ledger's calls, in seconds.
    """

    longest: float = inf

    def wait(self, gen: _Wait[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Consume what operates on the connection, in time.

        Raises:
            SilentServerError: The server did not answer.
        """
        thread, answered = threading.get_ident(), False
        ANSWERS.await_one(thread)
        try:
            found = self._in_time(gen, interval, timeout)
            answered = True
        except psycopg.Error as error:
            answered = error.sqlstate is not None
            raise
        finally:
            ANSWERS.receive(thread, answered=answered)
        return found

    def _in_time(self, gen: _Wait[T], interval: float, timeout: float | None) -> T:
        left = RUNNING.left()
        if left == inf:
            left = self.longest
        if left == inf or timeout is not None:
            return super().wait(gen, interval, timeout)
        began = monotonic()
        try:
            # What has arrived is read even when the time is up.
            return super().wait(gen, interval, max(left, 0.001))
        except psycopg.OperationalError as error:
            answered = error.sqlstate is not None or self.closed
            if answered or monotonic() - began < left:
                raise
            self.pgconn.finish()
            waited = max(left, 0.0)
            raise SilentServerError(f"no answer from the server within {waited:.1f} s") from error

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Generator[Any, Any, Self]:
        # psycopg bounds one address at a time, and by whole seconds.
        return _until_over(super()._connect_gen(conninfo))


def _until_over(gen: _Wait[T]) -> _Wait[T]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if RUNNING.left() <= 0:
                gen.close()
                raise SilentServerError("no connection to the server in time")
            wanted = gen.send(ready)
    except StopIteration as done:
        result: T = done.value
        return result


def resolved(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a connection with the addresses of its hosts, found in time.

    The system's resolver cannot be interrupted: it is waited for in a thread of its own, which is
    left behind where it does not come back.

    Raises:
        OperationalError: No host has an address, or none was found in time.
    """
    hosts = str(given.get("host") or "").split(",")
    if given.get("hostaddr") or not any(map(_is_name, hosts)):
        return dict(given)
    ports = str(given.get("port") or "").split(",")
    if len(ports) not in (1, len(hosts)):
        # The driver says what is wrong.
        return dict(given)
    ports = ports * len(hosts) if len(ports) == 1 else ports
    found = _bounded(lambda: _looked_up(hosts, ports))
    if not found:
        raise psycopg.OperationalError(f"no address found of {', '.join(hosts)}")
    host, port, address = (",".join(column) for column in zip(*found, strict=True))
    return {**given, "host": host, "port": port, "hostaddr": address}


def _looked_up(hosts: Sequence[str], ports: Sequence[str]) -> list[tuple[str, str, str]]:
    found = list[tuple[str, str, str]]()
    for host, port in zip(hosts, ports, strict=True):
        if not _is_name(host):
            found.append((host, port, "" if host.startswith(("/", "@")) else host))
            continue
        try:
            known = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        found += [(host, port, str(each[4][0])) for each in known]
    return found


def _is_name(host: str) -> bool:
    """Return whether a host is to be looked up: neither an address nor a socket's folder."""
    if not host or host.startswith(("/", "@")):
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return False
    return True


def _bounded(work: Callable[[], T]) -> T:
    left = RUNNING.left()
    if left == inf:
        return work()
    answers: SimpleQueue[T] = SimpleQueue()
    thread = threading.Thread(
        target=lambda: answers.put(work()), name="failsoft-resolve", daemon=True
    )
    thread.start()
    try:
        return answers.get(timeout=max(left, 0.001))
    except Empty:
        raise SilentServerError("no answer from the name server in time") from None
