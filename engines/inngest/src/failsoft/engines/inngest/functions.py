"""What Inngest is shown of a queue: its event, its function, and where that is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from failsoft.engine_api import EngineSite, QueueProfile
from failsoft.engines.inngest.client import SDK, hashed
from failsoft.engines.inngest.settings import InngestSettings

#: The key in the data of an event that a probe posted: workers pass over it.
PROBE = "failsoft-probe"
#: How often Inngest calls again what was not answered with 200: never after the claim. With none at
#: all, an event that meets a worker which restarts would be lost at once (ING-03).
REDELIVERIES = 5
#: How many calls per slot of one worker Inngest makes at once, unless a setting says otherwise.
CALLS_PER_SLOT = 2
#: The path below which a worker's functions are, where it is called directly.
PATH = "/api/inngest"

_SCHEMA = "2024-05-24"
_LANGUAGE, _, _VERSION = SDK.partition(":v")


def event_name(queue: str) -> str:
    """Return the name of the events of a queue, by its name on the broker."""
    return f"failsoft/{queue}"


@dataclass(frozen=True, slots=True)
class QueueFunction:
    """The function of one queue: an app of Inngest's with one function.

    Attributes:
        app: What the app is called: the queue's name on the broker.
        url: Where Inngest calls it.
        calls: The most calls that Inngest makes at once.
    """

    app: str
    url: str
    calls: int

    @classmethod
    def of(
        cls, site: EngineSite[InngestSettings], queue: QueueProfile, slots: int, port: int
    ) -> "QueueFunction":
        """Return the function of a queue whose worker listens on a port."""
        settings = site.settings
        base = settings.serve_url or f"http://{_bracketed(settings.host)}:{port}{PATH}"
        calls = settings.concurrency or CALLS_PER_SLOT * slots
        return cls(site.queue_name(queue), f"{base}/{queue.name}", calls)

    @property
    def id(self) -> str:
        """The function's id at Inngest."""
        return f"{self.app}-claim"

    def config(self) -> Mapping[str, Any]:
        """Return the function as Inngest is shown it."""
        return {
            "id": self.id,
            "name": self.id,
            "triggers": [{"event": event_name(self.app)}],
            "concurrency": [{"limit": self.calls}],
            "steps": {
                "step": {
                    "id": "step",
                    "name": "step",
                    "retries": {"attempts": REDELIVERIES},
                    "runtime": {"type": "http", "url": f"{self.url}?fnId={self.id}&stepId=step"},
                }
            },
        }

    def registration(self) -> Mapping[str, Any]:
        """Return what is posted to register the app."""
        return {
            "v": "0.1",
            "url": self.url,
            "deployType": "ping",
            "sdk": SDK,
            "framework": "failsoft",
            "appName": self.app,
            "functions": [self.config()],
            "capabilities": {"in_band_sync": "v1", "trust_probe": "v1"},
        }

    def synchronization(self, settings: InngestSettings) -> Mapping[str, Any]:
        """Return the same as the answer to a signed synchronization in band."""
        return {
            "app_id": self.app,
            "framework": "failsoft",
            "functions": [self.config()],
            "inspection": self.inspection(settings),
            "sdk_author": "failsoft",
            "sdk_language": _LANGUAGE,
            "sdk_version": _VERSION,
            "url": self.url,
        } | ({"env": settings.env} if settings.env else {})

    def introspection(self, settings: InngestSettings) -> Mapping[str, Any]:
        """Return what is shown unsigned: that there is a function, and no name or address."""
        return {
            "schema_version": _SCHEMA,
            "function_count": 1,
            "has_event_key": bool(settings.event_key.get_secret_value()),
            "has_signing_key": bool(settings.signing_key.get_secret_value()),
            "has_signing_key_fallback": bool(settings.signing_key_fallback.get_secret_value()),
            "mode": "dev" if settings.is_dev else "cloud",
        }

    def inspection(self, settings: InngestSettings) -> Mapping[str, Any]:
        """Return what is shown to a signed request; of keys only their hashes."""
        key, fallback = (
            hashed(each.get_secret_value()) if each.get_secret_value() else None
            for each in (settings.signing_key, settings.signing_key_fallback)
        )
        event_key = settings.event_key.get_secret_value()
        return {
            **self.introspection(settings),
            "api_origin": settings.url,
            "app_id": self.app,
            "authentication_succeeded": True,
            "capabilities": {"in_band_sync": "v1", "trust_probe": "v1"},
            "env": settings.env or None,
            "event_api_origin": settings.event_url or settings.url,
            "event_key_hash": sha256(event_key.encode()).hexdigest() if event_key else None,
            "framework": "failsoft",
            "sdk_language": _LANGUAGE,
            "sdk_version": _VERSION,
            "serve_origin": None,
            "serve_path": None,
            "signing_key_fallback_hash": fallback,
            "signing_key_hash": key,
        }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
