"""One publish to RabbitMQ: what each answer means, and that it ends by its deadline."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    NackError,
    StreamLostError,
    UnroutableError,
)
from pika.frame import Body, Header, Heartbeat, Method, decode_frame
from pika.spec import Basic, Channel, Connection

from failsoft.engines.dramatiq.rabbitmq_publisher import ConfirmedPublisher
from failsoft.job_engine.clock import Deadline, SystemClock
from tests.unit.support.attempts import HOUR

CHANNEL, BODY = 3, b'{"args":[]}'
#: Much less than an answer takes that trickles in, and much more than a byte of it.
BUDGET, TRICKLE, BYTES = timedelta(seconds=0.3), 0.02, 400


def within(span: timedelta) -> Deadline:
    return Deadline.after(SystemClock(), span)


def said(*methods: Any) -> bytes:
    return b"".join(Method(CHANNEL, method).marshal() for method in methods)


ACK = said(Basic.Ack(1))
RETURN = said(Basic.Return(312, "NO_ROUTE", "", "q"))
RETURN += Header(CHANNEL, len(BODY), BasicProperties()).marshal() + Body(CHANNEL, BODY).marshal()


class Peer:
    """The server's end of a connection that pika has opened."""

    def __init__(self) -> None:
        ours, self.end = socket.socketpair()
        ours.setblocking(False)
        self.ours = ours
        impl = SimpleNamespace(_transport=SimpleNamespace(_sock=ours), bytes_received=0)
        channel = SimpleNamespace(channel_number=CHANNEL, confirm_delivery=lambda: None)
        self.connection: Any = SimpleNamespace(
            _impl=impl, channel=lambda: channel, is_open=True, _cleanup=lambda: None
        )
        self.publisher = ConfirmedPublisher(self.connection)

    def answer(self, data: bytes) -> None:
        self.end.sendall(data)

    def publish(self, span: timedelta = HOUR) -> None:
        self.publisher.publish("q", BODY, within(span))


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    with closing(peer.ours), closing(peer.end):
        yield peer


def test_a_persistent_message_that_must_find_its_queue_is_sent(peer: Peer) -> None:
    peer.answer(ACK)

    peer.publish()

    arrived, frames = peer.end.recv(4096), []
    while arrived:
        length, frame = decode_frame(arrived)
        frames.append(frame)
        arrived = arrived[length:]
    publish, header, body = frames
    assert isinstance(publish, Method)
    assert (publish.method.exchange, publish.method.routing_key) == ("", "q")
    assert publish.method.mandatory
    assert isinstance(header, Header)
    assert (header.body_size, header.properties.delivery_mode) == (len(BODY), 2)
    assert isinstance(body, Body)
    assert body.fragment == BODY
    assert {frame.channel_number for frame in frames} == {CHANNEL}


def test_the_second_message_waits_for_the_second_confirm(peer: Peer) -> None:
    peer.answer(ACK)
    peer.publish()
    peer.answer(said(Basic.Ack(1)))

    with pytest.raises(StreamLostError):
        peer.publish()

    assert peer.publisher.is_broken


def test_what_else_arrives_is_passed_over(peer: Peer) -> None:
    others = said(Connection.Blocked("memory"), Connection.Unblocked())
    peer.answer(Heartbeat().marshal() + others + ACK)

    peer.publish()

    assert not peer.publisher.is_broken
    assert peer.connection._impl.bytes_received == len(Heartbeat().marshal() + others + ACK)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(said(Basic.Nack(1)), NackError), (RETURN + ACK, UnroutableError)],
    ids=["nack", "returned"],
)
def test_a_refusal_leaves_the_connection_as_good_as_before(
    peer: Peer, answer: bytes, error: type[Exception]
) -> None:
    peer.answer(answer)

    with pytest.raises(error):
        peer.publish()

    assert not peer.publisher.is_broken
    peer.answer(said(Basic.Ack(2)))
    peer.publish()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(Channel.Close(403, "no right", 60, 40)), ChannelClosedByBroker),
        (Method(0, Connection.Close(320, "bye", 0, 0)).marshal(), ConnectionClosedByBroker),
    ],
    ids=["channel", "connection"],
)
def test_a_channel_or_connection_that_is_closed_is_used_no_more(
    peer: Peer, answer: bytes, error: type[Exception]
) -> None:
    peer.answer(answer)

    with pytest.raises(error):
        peer.publish()

    assert peer.publisher.is_broken


def test_an_end_without_a_word_is_an_error(peer: Peer) -> None:
    peer.end.shutdown(socket.SHUT_WR)

    with pytest.raises(StreamLostError):
        peer.publish()

    assert peer.publisher.is_broken


def test_a_server_that_is_silent_is_waited_for_until_the_deadline(peer: Peer) -> None:
    with pytest.raises(TimeoutError):
        peer.publish(BUDGET)

    assert peer.publisher.is_broken


def test_a_server_that_holds_publishers_back_is_named(peer: Peer) -> None:
    peer.answer(Method(0, Connection.Blocked("low on memory")).marshal())

    with pytest.raises(TimeoutError, match="low on memory"):
        peer.publish(BUDGET)


def test_a_server_that_reads_nothing_is_waited_for_until_the_deadline(peer: Peer) -> None:
    peer.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    with pytest.raises(TimeoutError):
        peer.publisher.publish("q", bytes(10_000_000), within(BUDGET))

    assert peer.publisher.is_broken


@pytest.mark.parametrize("trickled", [ACK[:-1], Heartbeat().marshal()], ids=["confirm", "others"])
def test_a_confirm_that_trickles_in_counts_as_none(peer: Peer, trickled: bytes) -> None:
    stopping, sent = threading.Event(), list[int]()

    def trickle() -> None:
        endless = trickled if trickled != ACK[:-1] else ACK[:-1] + bytes(BYTES)
        # The length that the confirm announces is never reached.
        if trickled == ACK[:-1]:
            endless = ACK[:3] + (BYTES * 2).to_bytes(4) + endless[7:]
        for number in range(BYTES):
            if stopping.wait(TRICKLE):
                return
            sent.append(number)
            peer.answer(endless[number % len(endless)].to_bytes())

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            peer.publish(BUDGET)
        assert 0 < len(sent) < BYTES
    finally:
        stopping.set()
        thread.join()


def test_a_connection_at_which_something_has_arrived_is_not_quiet(peer: Peer) -> None:
    assert peer.publisher.is_quiet

    peer.answer(Heartbeat().marshal())

    assert not peer.publisher.is_quiet


def test_one_whose_server_has_ended_is_not_quiet(peer: Peer) -> None:
    peer.end.shutdown(socket.SHUT_WR)

    assert not peer.publisher.is_quiet
