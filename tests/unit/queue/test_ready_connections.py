"""Requests on connections that are at hand: in time, whatever the server does."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.queue import shared_client
from failsoft.queue.embedded_valkey import EmbeddedValkey
from failsoft.queue.ready_connections import ReadyConnections
from tests.unit.support.attempts import HOUR, exit_code_of_a_child

PING = b"*1\r\n$4\r\nPING\r\n"
#: Much less than a reply takes that trickles in, and much more than a byte of it.
BUDGET, TRICKLE, BYTES = timedelta(seconds=0.3), 0.05, 40


def within(span: timedelta) -> Deadline:
    return Deadline.after(SystemClock(), span)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path) as server:
        yield server


@pytest.fixture
def ready(server: EmbeddedValkey) -> ReadyConnections:
    return ReadyConnections(shared_client(server.url, "tests"))


def test_a_connection_that_was_used_is_at_hand(ready: ReadyConnections) -> None:
    assert ready.take() is None
    first = ready.connect()

    replies = ready.exchange(first, [PING, PING], within(HOUR))

    assert replies in ([b"PONG", b"PONG"], ["PONG", "PONG"])
    assert ready.take() is first


def test_one_whose_server_has_ended_is_not(ready: ReadyConnections, server: EmbeddedValkey) -> None:
    ready.exchange(ready.connect(), [PING], within(HOUR))

    server.kill()

    assert ready.take() is None


def test_one_that_was_refused_goes_back_to_the_pool(ready: ReadyConnections) -> None:
    refused = b"*1\r\n$6\r\nNOSUCH\r\n"

    (reply,) = ready.exchange(ready.connect(), [refused], within(HOUR))

    assert isinstance(reply, RedisError)
    assert ready.take() is None


def test_a_forked_child_does_not_use_its_parents(ready: ReadyConnections) -> None:
    ready.exchange(ready.connect(), [PING], within(HOUR))

    assert exit_code_of_a_child(lambda: ready.take() is not None) == 0
    assert ready.take() is not None


@pytest.fixture
def trickling() -> Iterator[Callable[[], str]]:
    """A server that answers the handshake, and the rest byte by byte."""
    stopping, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with closing(listener.accept()[0]) as peer:
            while b"PING" not in (request := peer.recv(4096)) and request:
                peer.sendall(b"+OK\r\n" * request.count(b"*"))
            peer.sendall(b"+")
            for _ in range(BYTES):
                if stopping.wait(TRICKLE):
                    return
                peer.sendall(b"x")
            peer.sendall(b"\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(listener):
        yield lambda: f"redis://127.0.0.1:{listener.getsockname()[1]}/0?protocol=2"
        stopping.set()


def test_a_reply_that_trickles_in_counts_as_none(trickling: Callable[[], str]) -> None:
    ready = ReadyConnections(shared_client(trickling(), "tests"))

    with pytest.raises(RedisError):
        ready.exchange(ready.connect(), [PING], within(BUDGET))

    assert ready.take() is None
