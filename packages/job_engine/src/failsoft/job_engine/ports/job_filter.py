"""Which jobs are meant: what `list_jobs` and the commands that do something to many choose by."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from failsoft.job_engine.records.states import JobState


class JobFilter(TypedDict, total=False):
    """What chooses jobs; all of it holds at once, and what is absent or None chooses nothing.

    Attributes:
        states: Only in one of these states; in any where there is none.
        queue: Only of this queue.
        name: Only of this definition.
        tag: Only with this tag.
        key: Only with this idempotency key.
        since: Only recorded then or later.
        until: Only recorded before that.
    """

    states: Sequence[JobState]
    queue: str | None
    name: str | None
    tag: str | None
    key: str | None
    since: datetime | None
    until: datetime | None
