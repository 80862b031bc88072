"""The connection of a process, on an event loop in a thread of its own."""

import asyncio
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from failsoft.engine_api import Deadline, EngineError
from failsoft.engines.nats.errors import lookup_error, offer_error
from nats.aio.client import Client

#: How long connecting may take, in seconds; an offer has a second, shared with other engines.
CONNECT_SECONDS = 0.5
#: The pause between two pings, in seconds, and how many of them may be unanswered.
PING_SECONDS, PINGS_UNANSWERED = 1, 2
#: How long closing may take, in seconds.
CLOSE_SECONDS = 0.5

T = TypeVar("T")

_DENIED = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)


class Connection(Client):
    """A connection that notes to which subjects this user may not publish.

    NATS says so of the connection, not in answer to what was published, which would be waited for
    until the time is up.

    Attributes:
        denied: The subjects, in lower case as nats-py has what the server says.
        publishing: What waits for an answer, by subject in lower case.
    """

    def __init__(self) -> None:
        super().__init__()
        self.denied: set[str] = set()
        self.publishing: defaultdict[str, set[asyncio.Task[Any]]] = defaultdict(set)

    async def note(self, error: Exception) -> None:
        """Note what NATS says of the connection; any other error is that of a call."""
        found = _DENIED.search(str(error))
        if found is not None:
            self.denied.add(found.group(1))
            for each in self.publishing[found.group(1)]:
                each.cancel()

    def abort(self) -> None:
        """Close the socket at once, whatever is still to be sent."""
        # nats-py has no call for it, and a cancelled `close` of its own leaves the socket open.
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


async def connect(options: Mapping[str, Any]) -> Connection:
    """Connect once: a breaker, or the worker's loop, decides about the next attempt."""
    client = Connection()
    try:
        await client.connect(
            **options,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_SECONDS,  # type: ignore[arg-type]  # it takes fractions, too
            ping_interval=PING_SECONDS,
            max_outstanding_pings=PINGS_UNANSWERED,
            error_cb=client.note,
        )
    except BaseException:
        await close(client)
        raise
    return client


async def close(client: Connection) -> None:
    """Close a connection; a silent server is not waited for, and a cancelled close is one, too."""
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.wait_for(client.close(), CLOSE_SECONDS)
    client.abort()


class SharedConnection:
    """One connection for all threads of a process, made when it is first needed."""

    def __init__(self, options: Callable[[], Mapping[str, Any]]) -> None:
        self._options = options
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting = asyncio.Lock()
        self._client: Connection | None = None

    def call(self, work: Callable[[Connection], Coroutine[Any, Any, T]], deadline: Deadline) -> T:
        """Return what the work with the connection returns.

        Raises:
            EngineUnavailableError: There was no connection in time, so nothing was sent.
            EngineRefusedError: NATS refuses the login.
            OfferUncertainError: The work failed, or did not end in time.
        """
        connected = threading.Event()

        async def run() -> T:
            client = await self._connected()
            connected.set()
            try:
                return await work(client)
            except EngineError:
                raise
            except BaseException:
                await self.drop(client)
                raise

        future = asyncio.run_coroutine_threadsafe(run(), self._running())
        try:
            return future.result(deadline.remaining())
        except EngineError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            future.cancel()
            raise (offer_error if connected.is_set() else lookup_error)(error) from error

    def close(self) -> None:
        """Let go of the connection and its thread; the next call makes others."""
        loop, client = self._loop, self._client
        if self._pid == os.getpid() and loop is not None:
            self._begin()
            asyncio.run_coroutine_threadsafe(_end(client), loop)

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                self._client = await connect(self._options())
            return self._client

    async def drop(self, client: Connection) -> None:
        """Close a connection and use it no more."""
        if self._client is client:
            self._client = None
        await close(client)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            # No thread lives on in a forked child; the parent's connection is left alone.
            self._begin()
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                name = "failsoft-nats-connection"
                threading.Thread(target=_serve, args=(self._loop,), name=name, daemon=True).start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _end(client: Connection | None) -> None:
    if client is not None:
        await close(client)
    me = asyncio.current_task()
    others = [each for each in asyncio.all_tasks() if each is not me]
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.stop)
