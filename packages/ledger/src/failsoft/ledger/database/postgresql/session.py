"""What the ledger sets in its sessions on PostgreSQL, and what the URL of the user sets there."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from failsoft.ledger.database.call_limit import IDLE_SHARE, LOCK_SHARE, STATEMENT_SHARE, CallLimit

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ISOLATION: Mapping[str, str] = MappingProxyType(
    {"default_transaction_isolation": "read committed"}
)
_OPTION = re.compile(r"(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)")
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How sessions are set up.

    Attributes:
        limit: The limit of the ledger's calls.
        options: What the user's URL sets by `options`.
        is_pooled: Whether a pooler lends the session for one transaction at a time: then nothing
            is set for longer than that.
        is_trusted: Whether the URL says that each connection has a session of its own.
    """

    limit: CallLimit = field(default_factory=CallLimit)
    options: Mapping[str, str] = field(default_factory=dict)
    is_pooled: bool = False
    is_trusted: bool = False

    @property
    def set_once(self) -> str:
        """The statement that sets a session up, where the user's options were given before."""
        values = {**_limits(self.limit), **_ISOLATION}
        return _set(values, self.options, is_local=False)

    @property
    def set_all(self) -> str:
        """The statement that sets a session up with the user's options."""
        return _set({**_limits(self.limit), **_ISOLATION, **self.options}, _NOTHING, is_local=False)

    @property
    def begin(self) -> str:
        """What begins a transaction: one message to the server, whatever it sets."""
        if not self.is_pooled:
            return _BEGIN
        values = {**_limits(self.limit), **self.options}
        return f"{_BEGIN}; {_set(values, _NOTHING, is_local=True)}"

    def begin_with(self, statement: float) -> str:
        """What begins a transaction whose statements may take so many seconds."""
        longer = {
            "statement_timeout": _milliseconds(statement),
            "idle_in_transaction_session_timeout": _milliseconds(statement),
        }
        if not (set(longer) - set(self.options)):
            return self.begin
        return f"{self.begin}; {_set(longer, self.options, is_local=True)}"


def options_of(query: Mapping[str, object]) -> Mapping[str, str]:
    """Return the settings that a URL, or PGOPTIONS in its place, makes by `-c name=value`."""
    text = str(query.get("options") or os.environ.get("PGOPTIONS", ""))
    return {
        name.replace("-", "_").lower(): re.sub(r"\\(.)", r"\1", value)
        for name, value in _OPTION.findall(text)
    }


def _limits(limit: CallLimit) -> dict[str, str]:
    return {
        "statement_timeout": _milliseconds(limit.whole * STATEMENT_SHARE),
        "lock_timeout": _milliseconds(limit.whole * LOCK_SHARE),
        "idle_in_transaction_session_timeout": _milliseconds(limit.whole * IDLE_SHARE),
    }


def _set(values: Mapping[str, str], users: Mapping[str, str], *, is_local: bool) -> str:
    # Not SET, which takes a list like a search_path for one name.
    calls = ", ".join(
        f"pg_catalog.set_config({_quoted(name)}, {_quoted(value)}, {str(is_local).lower()})"
        for name, value in values.items()
        if name not in users
    )
    return f"SELECT {calls}" if calls else "SELECT 1"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
