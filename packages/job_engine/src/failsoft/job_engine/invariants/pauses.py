"""What must be true of a queue, a definition or an engine that is paused now.

Moments are compared that different processes wrote: a clock that was set back before the pause may
let an attempt seem to have begun in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from failsoft.job_engine.invariants.history import Violation
from failsoft.job_engine.records.pauses import Pause

#: A claim under way when the pause is recorded may not see it; nothing waits so long for a row.
UNDER_WAY = timedelta(minutes=1)

NOTHING_BEGINS = "nothing begins of what is paused"


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt of a job whose queue, definition or engine is paused."""

    job_id: str
    epoch: int
    started_at: datetime
    pause: Pause


def begun_in_a_pause(begun: Begun) -> Iterator[Violation]:
    """Find an attempt that began although it was not allowed to."""
    since = begun.pause.since
    if since is not None and begun.started_at > since + UNDER_WAY:
        found = f"the attempt of epoch {begun.epoch} began at {begun.started_at}, since {since} the"
        yield Violation(begun.job_id, "pauses", NOTHING_BEGINS, f"{found} {begun.pause}")
