"""The server that speaks Inngest's protocol, in a process of its own."""

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.servers.processes import PATIENCE, Process, free_port, is_listening, wait_until
from tests.servers.server import Server

SIGNING_KEY = "signkey-prod-" + "0badc0de" * 8
EVENT_KEY = "an-event-key"


class InngestServer(Server):
    """One server; what is registered outlives it, and what waits does not.

    Args:
        folder: Where registrations go.
        signing_key: What it signs calls with; empty for dev mode.
    """

    def __init__(self, folder: Path, signing_key: str = SIGNING_KEY) -> None:
        self.folder = folder
        self.log = folder / "inngest.log"
        self.port = free_port()
        self._client = _client(self.url)
        self._keys = ("--signing-key", signing_key, "--event-key", EVENT_KEY) if signing_key else ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Mapping[str, str]:
        """What an engine needs to use it."""
        if not self._keys:
            return {"url": self.url}
        return {"url": self.url, "signing_key": self._keys[1], "event_key": EVENT_KEY}

    def start(self) -> None:
        if self.is_running:
            return
        self.process = Process(
            *(sys.executable, "-m", "failsoft.testing.inngest_server", "--hooks"),
            *("--port", str(self.port), "--folder", self.folder / "inngest", *self._keys),
            log=self.log,
        )
        wait_until(lambda: is_listening(self.port), PATIENCE, "Inngest's server serves")

    def stop(self) -> None:
        self._client.close()
        self._client = _client(self.url)
        if self.process is not None:
            self.kill()

    def runs(self) -> Mapping[str, Any]:
        """Return the runs that are open, and the last that have ended."""
        found: Mapping[str, Any] = self._client.get("/test/runs").json()
        return found

    def functions(self) -> list[str]:
        """Return the ids of what is registered."""
        return [each["id"] for app in self._apps() for each in app["functions"]]

    def urls(self) -> list[str]:
        """Return where the apps are called that are registered."""
        return [app["url"] for app in self._apps()]

    def _apps(self) -> Collection[Mapping[str, Any]]:
        kept = self.folder / "inngest" / "apps.json"
        found: Mapping[str, Mapping[str, Any]] = json.loads(
            kept.read_text() if kept.exists() else "{}"
        )
        return found.values()

    def call(
        self, body: bytes, headers: Mapping[str, str] | None = None, **query: str
    ) -> tuple[int, str]:
        """Let it call a function once, signed unless the headers say otherwise."""
        given = {"x-call-headers": json.dumps(dict(headers or {}))}
        answer = self._client.post("/test/call", params=query, content=body, headers=given)
        answer.raise_for_status()
        found = answer.json()
        return found["status"], found["body"]


def _client(url: str) -> httpx.Client:
    # It speaks no TLS, whose certificates take long to read.
    return httpx.Client(base_url=url, timeout=PATIENCE, verify=False, trust_env=False)  # noqa: S501
