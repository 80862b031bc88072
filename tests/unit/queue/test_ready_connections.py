"""Requests on connections that are at hand: in time, whatever the server does."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
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
def answering() -> Iterator[Callable[..., ReadyConnections]]:
    """Connections to a server that answers the handshake, and the rest piece by piece."""
    stopping = threading.Event()

    def serve(listener: socket.socket, pieces: Sequence[bytes]) -> None:
        with closing(listener.accept()[0]) as peer:
            while b"PING" not in (request := peer.recv(4096)) and request:
                peer.sendall(b"+OK\r\n" * request.count(b"*"))
            for piece in pieces:
                peer.sendall(piece)
                if stopping.wait(TRICKLE):
                    return

    with ExitStack() as stack:

        def connections(*pieces: bytes) -> ReadyConnections:
            listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            threading.Thread(target=serve, args=(listener, pieces), daemon=True).start()
            url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0?protocol=2"
            return ReadyConnections(shared_client(url, "tests"))

        yield connections
        stopping.set()


def test_a_reply_that_trickles_in_counts_as_none(
    answering: Callable[..., ReadyConnections],
) -> None:
    ready = answering(b"+", *[b"x"] * BYTES, b"\r\n")

    with pytest.raises(RedisError):
        ready.exchange(ready.connect(), [PING], within(BUDGET))

    assert ready.take() is None


@pytest.mark.parametrize(
    ("pieces", "reply"),
    [
        ([b":42\r\n"], 42),
        ([b":4", b"2\r", b"\n"], 42),
        ([b":-1\r\n"], -1),
        ([b"$2\r\n", b"42\r\n"], b"42"),
        ([b"*1\r\n:42\r\n"], [42]),
    ],
)
def test_a_reply_is_read_whatever_pieces_it_comes_in(
    answering: Callable[..., ReadyConnections], pieces: Sequence[bytes], reply: object
) -> None:
    ready = answering(*pieces)

    assert ready.exchange(ready.connect(), [PING], within(HOUR)) == [reply]


def test_a_server_that_ends_the_connection_gives_no_reply(
    answering: Callable[..., ReadyConnections],
) -> None:
    ready = answering()

    with pytest.raises(RedisError):
        ready.exchange(ready.connect(), [PING], within(HOUR))


def test_an_error_instead_of_a_number_is_the_error(ready: ReadyConnections) -> None:
    count = b"*2\r\n$4\r\nINCR\r\n$4\r\nlist\r\n"
    make = b"*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$1\r\nx\r\n"

    made, refused = (
        ready.exchange(ready.connect(), [request], within(HOUR))[0] for request in (make, count)
    )

    assert made == 1
    assert isinstance(refused, RedisError)
