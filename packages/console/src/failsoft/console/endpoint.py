"""One row of the table of routes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from failsoft.console.access.roles import Permission


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path, what serves it, and what that demands.

    Attributes:
        path: The path below where the console is mounted.
        name: What links name it by.
        handler: Takes a `Call` and returns a response; in a thread unless `is_async`.
        permission: What the actor needs; None for files and health, which anybody may have.
        methods: The methods that it takes.
        summary: What it is for, in a line; the API's description and the table in the docs have it.
        is_api: Whether it answers in JSON.
        is_async: Whether the handler is a coroutine.
    """

    path: str
    name: str
    handler: Callable[..., Any]
    permission: Permission | None = Permission.VIEW
    methods: tuple[str, ...] = ("GET",)
    summary: str = ""
    is_api: bool = False
    is_async: bool = False
