"""The proxy loses, delays and cuts as it is set to, and carries everything when it is healed."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic

import pytest

from tests.servers.processes import PATIENCE, free_port, wait_until
from tests.servers.proxy import Direction, TcpProxy

ProxyTo = Callable[[int], TcpProxy]
Connect = Callable[[], socket.socket]


class _Echo(socketserver.BaseRequestHandler):
    server: "EchoServer"

    def handle(self) -> None:
        with suppress(ConnectionError):
            while said := self.request.recv(65_536):
                self.server.heard += said
                self.request.sendall(said)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    heard = b""


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: EchoServer, proxy_to: ProxyTo) -> TcpProxy:
    return proxy_to(echo.server_address[1])


@pytest.fixture
def connect(proxy: TcpProxy) -> Iterator[Connect]:
    clients: list[socket.socket] = []

    def connect() -> socket.socket:
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=0.2)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


def test_a_healthy_proxy_carries_both_ways_and_the_end(connect: Connect, proxy: TcpProxy) -> None:
    client = connect()

    assert _echoed(client, b"x" * 1_000_000)

    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    wait_until(lambda: proxy.connections == 0, PATIENCE, "the connection has ended")


def test_a_black_hole_takes_everything_and_gives_nothing(
    connect: Connect, proxy: TcpProxy, echo: EchoServer
) -> None:
    old = connect()
    assert _echoed(old, b"before")

    proxy.blackhole()
    for client in (old, connect()):
        client.sendall(b"lost")
        with pytest.raises(TimeoutError):
            client.recv(1)

    assert echo.heard == b"before"


def test_healing_resets_what_has_lost_bytes_and_keeps_the_rest(
    connect: Connect, proxy: TcpProxy
) -> None:
    talker, listener = connect(), connect()
    assert _echoed(listener, b"hello")
    proxy.blackhole()
    talker.sendall(b"lost")
    with pytest.raises(TimeoutError):
        talker.recv(1)

    proxy.heal()

    with pytest.raises(ConnectionResetError):
        talker.recv(1)
    assert _echoed(listener, b"still here")
    assert _echoed(connect(), b"new")


def test_swallowed_replies_leave_the_request_done(
    connect: Connect, proxy: TcpProxy, echo: EchoServer
) -> None:
    proxy.swallow_replies()
    client = connect()

    for request in (b"first ", b"second"):
        client.sendall(request)
        with pytest.raises(TimeoutError):
            client.recv(1)

    assert echo.heard == b"first second"


def test_a_refusing_proxy_resets_and_refuses_until_it_heals(
    connect: Connect, proxy: TcpProxy
) -> None:
    client = connect()
    assert _echoed(client, b"before")

    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect()

    proxy.pass_through()
    assert _echoed(connect(), b"after")


def test_a_delay_holds_pieces_back_and_healing_delivers_them(
    connect: Connect, proxy: TcpProxy
) -> None:
    client = connect()
    client.settimeout(5)
    proxy.delay(0.1)
    began = monotonic()
    assert _echoed(client, b"late")
    assert monotonic() - began >= 0.2

    proxy.delay(60)
    client.sendall(b"held")
    proxy.heal()
    assert client.recv(4) == b"held"


@pytest.mark.parametrize("size", [0, 3, 10])
def test_a_cut_lets_exactly_so_many_bytes_of_the_reply_through(
    size: int, connect: Connect, proxy: TcpProxy, echo: EchoServer
) -> None:
    client = connect()
    assert _echoed(client, b"before")

    proxy.cut_after(size, Direction.TO_CLIENT)
    client.sendall(b"0123456789")

    assert _received_until_reset(client) == b"0123456789"[:size]
    assert echo.heard == b"before0123456789"


def test_a_cut_counts_over_pieces_of_a_request(
    connect: Connect, proxy: TcpProxy, echo: EchoServer
) -> None:
    proxy.cut_after(5, Direction.TO_SERVER)
    client = connect()

    assert _echoed(client, b"012")
    client.sendall(b"345")

    assert _received_until_reset(client) in (b"", b"34")
    wait_until(lambda: echo.heard == b"01234", PATIENCE, "the server hears what passed")


def test_a_reset_ends_open_connections_and_welcomes_new_ones(
    connect: Connect, proxy: TcpProxy
) -> None:
    client = connect()
    assert _echoed(client, b"before")

    proxy.reset()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert _echoed(connect(), b"after")
    assert (proxy.accepted, proxy.connections) == (2, 1)


def test_a_half_open_connection_looks_alive_to_the_client(
    connect: Connect, proxy: TcpProxy, echo: EchoServer
) -> None:
    client = connect()
    assert _echoed(client, b"before")

    proxy.half_open()
    client.sendall(b"into the void")
    with pytest.raises(TimeoutError):
        client.recv(1)

    assert echo.heard == b"before"
    assert _echoed(connect(), b"new")


def test_a_reset_is_no_failure_that_asyncio_logs(
    connect: Connect, proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    assert _echoed(connect(), b"before")

    proxy.reset()
    wait_until(lambda: proxy.connections == 0, PATIENCE, "the connection has ended")
    proxy.heal()

    assert not caplog.records


def test_a_client_is_reset_when_nothing_listens_behind_the_proxy(proxy_to: ProxyTo) -> None:
    nowhere = proxy_to(free_port())

    # The reset may come before connect() has returned.
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", nowhere.port), timeout=PATIENCE) as client,
    ):
        client.recv(1)


def _echoed(client: socket.socket, said: bytes) -> bool:
    client.sendall(said)
    heard = b""
    while len(heard) < len(said):
        heard += client.recv(65_536)
    return heard == said


def _received_until_reset(client: socket.socket) -> bytes:
    received = b""
    try:
        while said := client.recv(65_536):
            received += said
    except ConnectionResetError:
        return received
    raise AssertionError("expected a reset, got an orderly end")


@pytest.fixture
def louder(echo: EchoServer) -> Iterator[TcpProxy]:
    """A proxy before a server whose answers it keeps back until they end, and then changes."""

    def translator(server: int, proxy: int) -> Callable[[bytes], bytes]:
        kept = bytearray()

        def translate(said: bytes) -> bytes:
            kept.extend(said)
            if not said.endswith(b"."):
                return b""
            whole = bytes(kept).replace(str(server).encode(), str(proxy).encode())
            kept.clear()
            return whole

        return translate

    with TcpProxy(echo.server_address[1], translator) as proxy:
        yield proxy


def test_answers_are_translated_and_what_clients_say_is_not(
    echo: EchoServer, louder: TcpProxy
) -> None:
    with socket.create_connection(("127.0.0.1", louder.port), timeout=PATIENCE) as client:
        said = f"I am at {louder.target_port}"
        client.sendall(said.encode())
        wait_until(lambda: echo.heard == said.encode(), PATIENCE, "the server was reached")
        client.sendall(b".")

        assert client.recv(1000) == f"I am at {louder.port}.".encode()
