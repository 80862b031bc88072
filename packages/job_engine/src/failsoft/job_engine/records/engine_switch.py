"""An engine that is disabled for every process of a ledger, until it is enabled again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.validation import Expect, check_said

#: As the ledger keeps it beside other facts.
MAX_ENGINE_CHARS = 32


@dataclass(frozen=True, slots=True)
class DisabledEngine:
    """That an engine gets no offers.

    What it was offered before is claimed by its workers as usual, and moves to another engine where
    it is not picked up in time. A job that may run on no other engine waits.

    Attributes:
        name: The engine's name.
        actor: Who disabled it.
        reason: Why, for people.
        since: Since when, on the database's clock; None before it is recorded.
    """

    name: str
    actor: str
    reason: str = ""
    since: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what is no engine's name."""
        expect = Expect(OptionInvalidError, "engine: ")
        expect.text("a name", self.name, most=MAX_ENGINE_CHARS)
        check_said(expect, self.actor, self.reason)

    def __str__(self) -> str:
        """Return it as text for people."""
        why = f": {self.reason}" if self.reason else ""
        return f"engine {self.name} disabled by {self.actor}{why}"


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What an engine still has.

    Attributes:
        waiting: How many of its offers wait for their claim, by queue; queues without any are left
            out.
        running: How many attempts of it run.
    """

    waiting: Mapping[str, int]
    running: int
