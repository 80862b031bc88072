"""A queue, a job definition or an engine of which nothing begins for a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.validation import Expect, check_said

Pausable = Literal["queue", "job", "engine"]

MAX_NAME_CHARS = 128


@dataclass(frozen=True, slots=True)
class Pause:
    """That nothing begins.

    Attributes:
        kind: `queue`, `job` or `engine`.
        name: The queue's, the definition's or the engine's name.
        actor: Who paused it.
        reason: Why, for people.
        since: Since when, on the database's clock; None before it is recorded.
    """

    kind: Pausable
    name: str
    actor: str
    reason: str = ""
    since: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be paused."""
        expect = Expect(OptionInvalidError, "pause: ")
        expect.one_of("a kind", self.kind, get_args(Pausable))
        expect.text("a name", self.name, most=MAX_NAME_CHARS)
        check_said(expect, self.actor, self.reason)

    def covers(self, name: str, queue: str) -> bool:
        """Return whether a job of that name and queue may not begin, on any engine."""
        return self.kind != "engine" and self.name == (queue if self.kind == "queue" else name)

    def holds_back(self, name: str, queue: str, engine: str | None) -> bool:
        """Return whether an offer of such a job to an engine may not be claimed."""
        return self.covers(name, queue) or (self.kind, self.name) == ("engine", engine)

    def __str__(self) -> str:
        """Return it as text for people."""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.kind} {self.name} paused by {self.actor}{why}"


def pause_of(job: JobRecord, pauses: Sequence[Pause]) -> Pause | None:
    """Return what keeps a job from beginning, if anything does."""
    return next((pause for pause in pauses if pause.covers(job.name, job.queue)), None)
