"""The apps that registered, with their functions; kept in a file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failsoft.testing.inngest_server.protocol import DEFAULT_RETRIES, MAX_RETRIES


class RegistrationError(Exception):
    """An app is not registered; the message says why."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it was registered.

    Attributes:
        id: Its id.
        url: Where it is called.
        events: The names of the events that start it.
        attempts: How often it is called at most, for one event.
        limit: How many calls are made at once; None where there is no limit.
    """

    id: str
    url: str
    events: frozenset[str]
    attempts: int
    limit: int | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Function":
        """Read one.

        Raises:
            RegistrationError: It is not as Inngest takes it.
        """
        try:
            (step,) = config["steps"].values()
            retries = step.get("retries") or {"attempts": config.get("retries", DEFAULT_RETRIES)}
            events = (each["event"] for each in config["triggers"] if "event" in each)
            attempts = min(int(retries["attempts"]), MAX_RETRIES) + 1
            limit = _limit(config.get("concurrency"))
            return cls(config["id"], step["runtime"]["url"], frozenset(events), attempts, limit)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RegistrationError(f"expected a function, got {error!r}") from None


class Apps:
    """Every app, by its name.

    Args:
        path: The file that keeps them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._apps: dict[str, Mapping[str, Any]] = {}
        self._functions: dict[str, Function] = {}
        if path.exists():
            for each in json.loads(path.read_text()).values():
                self._keep(each)

    def register(self, app: Any) -> bool:
        """Keep an app in place of the one of its name; return whether that changed anything.

        Raises:
            RegistrationError: It is none.
        """
        if not isinstance(app, dict) or not app.get("appName", app.get("appname")):
            raise RegistrationError("App ID required")
        before = self._apps.get(_name(app))
        self._keep(app)
        if before == app:
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps(self._apps))
        written.replace(self._path)
        return True

    def shown(self) -> Mapping[str, Any]:
        """Return every app as it was registered."""
        return self._apps

    def started_by(self, event: str) -> Iterator[Function]:
        """Yield the functions that an event starts."""
        return (each for each in self._functions.values() if event in each.events)

    def function(self, function_id: str) -> Function | None:
        """Return a function as it is now."""
        return self._functions.get(function_id)

    def _keep(self, app: Mapping[str, Any]) -> None:
        functions = [Function.from_config(each) for each in app.get("functions", ())]
        if not functions:
            raise RegistrationError("No functions registered within your app")
        for old in self._apps.get(_name(app), {}).get("functions", ()):
            self._functions.pop(old["id"], None)
        self._apps[_name(app)] = app
        self._functions |= {each.id: each for each in functions}


def _name(app: Mapping[str, Any]) -> str:
    return str(app.get("appName", app.get("appname")))


def _limit(concurrency: Any) -> int | None:
    limits = concurrency if isinstance(concurrency, list) else [concurrency]
    found = [each.get("limit") if isinstance(each, dict) else each for each in limits]
    return min((int(each) for each in found if each), default=None)
