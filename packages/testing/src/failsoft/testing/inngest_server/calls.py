"""Calls of functions over HTTP: a connection each, as Inngest makes them."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from failsoft.testing.inngest_server.protocol import CALL_SECONDS

#: How long connecting may take, in seconds.
CONNECT_SECONDS = 5.0
#: How much is read at a time, in bytes.
CHUNK = 65_536


class CallError(Exception):
    """A function was not reached, or did not answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered.

    Attributes:
        status: The status of HTTP.
        headers: The headers, by their names in lower case.
        body: The bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


async def call(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Call a function once.

    Raises:
        CallError: There is no answer.
    """
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if is_tls else 80), ssl=is_tls or None
            )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                sent = {"host": parts.netloc, "content-length": str(len(body)), **headers}
                target = f"{parts.path or '/'}?{parts.query}"
                request = h11.Request(method=method, target=target, headers=list(sent.items()))
                return await _exchange(reader, writer, request, body)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError, h11.ProtocolError, ValueError) as error:
        raise CallError(f"{url}: {error!r}") from error


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
) -> Answer:
    connection = h11.Connection(h11.CLIENT)
    parts = (request, h11.Data(body), h11.EndOfMessage())
    writer.write(b"".join(connection.send(each) or b"" for each in parts))
    await writer.drain()
    status, headers, read = 0, dict[str, str](), bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            read += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, bytes(read))
        elif isinstance(event, h11.ConnectionClosed):
            raise CallError("the connection was closed")
