"""What a notification says, apart from where it goes: facts, and never a job's payload."""

import unicodedata
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from failsoft.job_engine.policies.notifications import KINDS

#: The most notices that a notification shows; of more it says how many there are.
MOST_SHOWN = 5
#: The longest text of a job, a queue or a reason in a notification.
MOST_CHARS = 200

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def one_line(text: str, most: int = MOST_CHARS) -> str:
    """Return text of strangers on one line, without what has no glyph, no longer than `most`."""
    seen = "".join(" " if unicodedata.category(each) in _HIDDEN else each for each in text)
    words = " ".join(seen.split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


Line = Annotated[str, AfterValidator(one_line)]


class Happening(BaseModel):
    """A notice, as a notification shows it.

    Attributes:
        id: What it is recorded by: the same in every notification of it.
        job: The name of the job that it is about, and `job_id` its id.
        error_type: The type of the job's last error.
        reason: Why, in the words of its event.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: str
    at: AwareDatetime
    engine: Line | None = None
    queue: Line | None = None
    job: Line | None = None
    job_id: Line | None = None
    error_type: Line | None = None
    reason: Line | None = None

    @property
    def sentence(self) -> str:
        """Return what happened, on one line."""
        named = {"engine": self.engine, "queue": self.queue, "job": self.job or self.job_id}
        template = KINDS.get(self.kind, self.kind)
        said = template.format_map({name: value or "?" for name, value in named.items()})
        because = f": {self.reason}" if self.reason else ""
        error = f" ({self.error_type})" if self.error_type else ""
        return f"{said}{error}{because}"


class Notification(BaseModel):
    """One message to one channel.

    Attributes:
        channel: Its name in the settings of the worker that sends it.
        kind: The kind of what happened.
        count: How often it happened.
        first_at: When it happened first.
        last_at: When it happened last.
        happenings: The first of them, `MOST_SHOWN` at most.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    channel: str
    kind: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=64)]
    count: int = Field(ge=1)
    first_at: AwareDatetime
    last_at: AwareDatetime
    happenings: tuple[Happening, ...] = Field(max_length=MOST_SHOWN)

    @property
    def title(self) -> str:
        """Return what a message begins with, on one line."""
        if self.count == 1 and self.happenings:
            return f"Failsoft: {self.happenings[0].sentence}"
        return f"Failsoft: {self.kind}, {self.count} times since {self.first_at:%Y-%m-%d %H:%M} UTC"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return what the message says below its title."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[str]:
        for each in self.happenings:
            job = f", job {each.job_id}" if each.job_id else ""
            queue = f", queue {each.queue}" if each.queue else ""
            yield f"{each.at:%Y-%m-%d %H:%M:%S} UTC: {each.sentence}{queue}{job}"
        if self.count > len(self.happenings):
            yield f"and {self.count - len(self.happenings)} more"
