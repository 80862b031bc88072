"""Requests to Inngest: one try each, bounded, and logged by no library.

The transport of httpx, without its client: that logs every address, and the event key is part of
one; it follows redirects of a proxy's, and takes proxies from the environment.
"""

import os
import threading
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx

from failsoft.engine_api import EngineError, EngineUnavailableError
from failsoft.engines.inngest.errors import transport_error
from failsoft.engines.inngest.settings import InngestSettings, bare

#: How long connecting may take, in seconds; an offer has a second, shared with other engines.
CONNECT_SECONDS = 0.5
#: The most that is read of an answer, in bytes.
ANSWER_BYTES = 1_000_000
#: How long a connection lies idle before it is closed, in seconds.
IDLE_SECONDS = 20.0
#: What this program calls itself in every request and answer.
SDK = "failsoft:v0.1.0"
#: The version of calls that the worker answers.
CALL_VERSION = "2"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Inngest answered.

    Attributes:
        status: The status of HTTP.
        body: The bytes, at most `ANSWER_BYTES`.
    """

    status: int
    body: bytes

    @property
    def said(self) -> str:
        """The body as text of one line."""
        return " ".join(self.body.decode(errors="replace").split())


class Client:
    """Connections to Inngest, shared by all threads of a process and by no other process."""

    def __init__(self, settings: InngestSettings) -> None:
        self._settings = settings
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._transport: httpx.HTTPTransport | None = None

    def send(
        self, method: str, url: str, body: Any = None, *, timeout: float, key: str | None = None
    ) -> Answer:
        """Send one request, and return the answer, whatever its status.

        Args:
            method: The method of HTTP.
            url: The address.
            body: What is sent as JSON; nothing where None.
            timeout: How long each part may take, in seconds.
            key: A signing key to sign in with; only ever at Inngest itself.

        Raises:
            EngineUnavailableError: It was not sent.
            OfferUncertainError: It was not answered.
        """
        timeouts = {
            "connect": min(CONNECT_SECONDS, timeout),
            "pool": timeout,
            "read": timeout,
            "write": timeout,
        }
        headers = headers_of(self._settings)
        if key is not None:
            headers["authorization"] = f"Bearer {hashed(key)}"
        try:
            request = httpx.Request(
                method, url, headers=headers, json=body, extensions={"timeout": timeouts}
            )
            response = self._running().handle_request(request)
            try:
                return Answer(response.status_code, _read(response))
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise transport_error(error) from error
        except httpx.InvalidURL as error:
            raise EngineUnavailableError(f"Inngest was not reached: {error}") from error

    def is_answering(self, timeout: float) -> EngineError | None:
        """Return why the server does not answer; None where it does."""
        url = f"{self._settings.event_url or self._settings.url}/health"
        try:
            answer = self.send("GET", url, timeout=timeout)
        except EngineError as error:
            return error
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return EngineUnavailableError(f"Inngest answers {answer.status}: {answer.said[:200]}")
        return None

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        transport = self._transport
        if self._pid == os.getpid() and transport is not None:
            self._begin()
            transport.close()

    def _running(self) -> httpx.HTTPTransport:
        if self._pid != os.getpid():
            # A child that was forked leaves the parent's connections alone.
            self._begin()
        with self._starting:
            if self._transport is None:
                limits = httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS)
                # Authorities take long to read, and the first dispatch waits for it.
                is_tls = self._settings.has_tls
                self._transport = httpx.HTTPTransport(limits=limits, verify=is_tls)
            return self._transport


def headers_of(settings: InngestSettings) -> dict[str, str]:
    """Return the headers of every request and answer."""
    headers = {
        "content-type": "application/json",
        "user-agent": SDK,
        "x-inngest-sdk": SDK,
        "x-inngest-req-version": CALL_VERSION,
        "x-inngest-framework": "failsoft",
        "x-inngest-expected-server-kind": "dev" if settings.is_dev else "cloud",
    }
    if settings.env:
        headers["x-inngest-env"] = settings.env
    return headers


def hashed(signing_key: str) -> str:
    """Return what a signing key is shown as: Inngest compares its hash."""
    return sha256(bytes.fromhex(bare(signing_key))).hexdigest()


def _read(response: httpx.Response) -> bytes:
    read = bytearray()
    for chunk in response.iter_bytes():
        read += chunk
        if len(read) > ANSWER_BYTES:
            break
    return bytes(read[:ANSWER_BYTES])
