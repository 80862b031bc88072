"""Permissions, and the roles that are made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from failsoft.job_engine.errors import ConfigurationError


class Permission(StrEnum):
    """What a handler demands; each names one.

    Attributes:
        VIEW: See every screen, payloads as the policy shows them.
        PAYLOAD: Give a job another payload.
        ACT: Retry, cancel and replay one job.
        BULK: The same for all jobs that a filter matches.
        PAUSE: Pause and resume queues, definitions, engines and schedules.
        DISPATCH: Record new jobs, send events, trigger schedules.
        RESOLVE: Decide about held jobs.
    """

    VIEW = "view"
    PAYLOAD = "payload"
    ACT = "act"
    BULK = "bulk"
    PAUSE = "pause"
    DISPATCH = "dispatch"
    RESOLVE = "resolve"


Access = frozenset[Permission]

VIEWER: Access = frozenset({Permission.VIEW})
ADMIN: Access = frozenset(Permission)
OPERATOR: Access = ADMIN - {Permission.PAYLOAD, Permission.DISPATCH}

ROLES: Mapping[str, Access] = MappingProxyType(
    {"viewer": VIEWER, "operator": OPERATOR, "admin": ADMIN}
)

#: The longest name of an actor, as every history keeps it.
MAX_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone who was let in.

    Attributes:
        name: As histories and the audit name them.
        role: What they are called; shown in the header.
        access: What they may do.
        by_token: Whether a bearer token let them in; no browser sends one by itself, so their
            requests need no check of where they come from.
    """

    name: str
    role: str
    access: Access
    by_token: bool = False

    @classmethod
    def of(cls, name: str, role: str, *, by_token: bool = False) -> "Actor":
        """Return an actor of a role.

        Raises:
            ConfigurationError: There is no such role, or the name is empty or too long.
        """
        if role not in ROLES:
            raise ConfigurationError(
                f"expected a role of the console ({', '.join(ROLES)}), got {role!r}"
            )
        if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise ConfigurationError(
                f"expected a printable name of 1 to {MAX_NAME_CHARS} characters, got {name!r}"
            )
        return cls(name, role, ROLES[role], by_token)

    def may(self, permission: Permission) -> bool:
        """Return whether the actor has a permission."""
        return permission in self.access

    def read_only(self) -> "Actor":
        """Return the actor without every permission but that to view."""
        return Actor(self.name, self.role, self.access & VIEWER, self.by_token)
