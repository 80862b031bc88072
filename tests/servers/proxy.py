"""A TCP proxy on loopback that loses, delays and cuts what passes through it."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.servers.processes import PATIENCE, free_port

T = TypeVar("T")
LOOPBACK = "127.0.0.1"


class Direction(Enum):
    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


BOTH = frozenset(Direction)

#: What a server's answers over one connection become on their way, made of the server's port and
#: the proxy's; what it keeps back it gives with a later piece.
Translator = Callable[[int, int], Callable[[bytes], bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """What happens to bytes on their way; nothing, by default."""

    swallowed: frozenset[Direction] = frozenset()
    delay: float = 0
    cut: Direction | None = None
    cut_after: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class TcpProxy:
    """Stands before a server on loopback; a fault lasts until the next one or until `heal`.

    A connection that has lost bytes, or its server, is reset when the proxy heals: no protocol
    could go on with it.
    """

    def __init__(self, target_port: int, translator: Translator | None = None) -> None:
        self.target_port = target_port
        self.translator = translator
        self.port = free_port()
        self.accepted = 0
        self.fault = Fault()
        self._links: set[_Link] = set()
        self.refuses = False
        self._server: asyncio.Server | None = None
        # Bound but deaf: with nothing else on it the port refuses, and yet it stays ours.
        self._held = _bound(self.port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.heal()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    def pass_through(self) -> None:
        """Carry everything, as `heal` does."""
        self.heal()

    def heal(self) -> None:
        """Carry everything again, and listen again after `refuse`."""
        self._call(self._heal())

    def blackhole(self) -> None:
        """Accept connections and swallow what either side says, even that it ends."""
        self._call(self._set(Fault(swallowed=BOTH)))

    def swallow_replies(self) -> None:
        """Carry what clients say and swallow what the server answers."""
        self._call(self._set(Fault(swallowed=frozenset({Direction.TO_CLIENT}))))

    def delay(self, seconds: float) -> None:
        """Hold every piece back for a while, in both directions; a heal delivers at once."""
        self._call(self._set(Fault(delay=seconds)))

    def cut_after(self, n_bytes: int, direction: Direction) -> None:
        """Reset each connection once so many more bytes have passed that way; 0: before any."""
        self._call(self._set(Fault(cut=direction, cut_after=n_bytes)))

    def refuse(self) -> None:
        """Reset all connections and refuse new ones, as when the server's process is gone."""
        self._call(self._refuse())

    def reset(self) -> None:
        """Reset all open connections (RST); new ones are welcome."""
        self._call(self._reset(self._links))

    def half_open(self) -> None:
        """Close the server's side of all open connections without notice to the clients."""
        self._call(self._half_open())

    def close(self) -> None:
        """Reset everything and stop listening for good."""
        if not self._thread.is_alive():
            return
        try:
            self._call(self._end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=PATIENCE)

    async def _set(self, fault: Fault) -> None:
        self.fault.changed.set()
        self.fault = fault

    async def _heal(self) -> None:
        await self._set(Fault())
        await self._reset({link for link in self._links if link.has_lost})
        if self._server is None:
            self.refuses = False
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    async def _refuse(self) -> None:
        await self._set(Fault())
        self.refuses = True
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset(self._links)

    async def _end(self) -> None:
        await self._refuse()
        # What was accepted a moment before comes to its handler, is refused and closed.
        while len(asyncio.all_tasks()) > 1:
            await self._reset(self._links)
            await asyncio.sleep(0)

    async def _reset(self, links: "set[_Link]") -> None:
        for link in tuple(links):
            await link.reset()

    async def _half_open(self) -> None:
        for link in tuple(self._links):
            link.lose_server()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        # A reset cancels; a handler that ends so is a failure to asyncio, which would log it.
        with suppress(asyncio.CancelledError):
            await self._carry(link)

    async def _carry(self, link: "_Link") -> None:
        try:
            await link.carry()
        except* OSError:
            pass
        finally:
            await link.abort()
            self._links.discard(link)


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(
        self, proxy: TcpProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.has_lost = False
        self._proxy = proxy
        self._task = asyncio.current_task()
        self._client = (reader, writer)
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._is_half_open = False
        self._counting_for: Fault | None = None
        self._passed = 0
        translator = proxy.translator
        self._translate = translator and translator(proxy.target_port, proxy.port)

    async def carry(self) -> None:
        """Carry both directions until both have ended."""
        if self._proxy.refuses:
            return
        if self._proxy.fault.swallowed == BOTH:
            await self._drop(self._client[0])
            return
        self._server = await asyncio.open_connection(LOOPBACK, self._proxy.target_port)
        client, server = self._client, self._server
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pump(Direction.TO_SERVER, client[0], server[1]))
            both.create_task(self._pump(Direction.TO_CLIENT, server[0], client[1]))
        for writer in (client[1], server[1]):
            writer.close()
        for writer in (client[1], server[1]):
            # A reset meanwhile cancels this, and not what the next one waits for.
            await asyncio.shield(writer.wait_closed())

    async def reset(self) -> None:
        """Close both sides by RST, and wait until they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def abort(self) -> None:
        """Close by RST what is still open, and wait until both sockets are closed."""
        for writer in self._writers():
            _abort(writer)
        while any(_is_open(each) for each in self._writers()):  # noqa: ASYNC110 - closing has no event for it
            await asyncio.sleep(0)

    def lose_server(self) -> None:
        """Close the server's side only, and leave the client in the dark."""
        self.has_lost = self._is_half_open = True
        if self._server is not None:
            _abort(self._server[1])

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [each[1] for each in (self._client, self._server) if each is not None]

    async def _drop(self, reader: asyncio.StreamReader) -> None:
        self.has_lost = True
        while await reader.read(65_536):
            pass

    async def _pump(
        self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while said := await self._read(reader):
            if chunk := self._translated(direction, said):
                await self._pass_on(direction, chunk, writer)
        if self._loses(direction):
            await asyncio.Event().wait()  # the end, too, is lost
        writer.write_eof()

    def _translated(self, direction: Direction, said: bytes) -> bytes:
        is_answer = direction is Direction.TO_CLIENT
        return self._translate(said) if is_answer and self._translate is not None else said

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(65_536)
        except OSError:
            if self._is_half_open:
                return b""
            raise

    def _loses(self, direction: Direction) -> bool:
        loses = self._is_half_open or direction in self._proxy.fault.swallowed
        self.has_lost |= loses
        return loses

    async def _pass_on(
        self, direction: Direction, chunk: bytes, writer: asyncio.StreamWriter
    ) -> None:
        await self._hold_back()
        if self._loses(direction):
            return
        allowed = self._allowed(direction, len(chunk))
        writer.write(chunk[:allowed])
        await writer.drain()
        if allowed is not None:
            raise ConnectionResetError

    async def _hold_back(self) -> None:
        fault = self._proxy.fault
        if fault.delay:
            with suppress(TimeoutError):
                await asyncio.wait_for(fault.changed.wait(), fault.delay)

    def _allowed(self, direction: Direction, size: int) -> int | None:
        """How many bytes may pass before the cut, or `None` for all of them."""
        fault = self._proxy.fault
        if fault.cut is not direction:
            return None
        if self._counting_for is not fault:
            self._counting_for, self._passed = fault, 0
        room = fault.cut_after - self._passed
        self._passed += size
        return room if room <= size else None


def _is_open(writer: asyncio.StreamWriter) -> bool:
    return int(writer.get_extra_info("socket").fileno()) >= 0


def _abort(writer: asyncio.StreamWriter) -> None:
    # One that is closing, too: it would wait until its peer has read what was written.
    if _is_open(writer):
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def _bound(port: int) -> socket.socket:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        holder.setsockopt(socket.SOL_SOCKET, option, 1)
    holder.bind((LOOPBACK, port))
    return holder
