"""The contract of the ledger for notices that are told: each once, with the jobs that tell it.

Raises, from every method: `LedgerUnavailableError` if the database does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from failsoft.job_engine.ports.console import Notice
from failsoft.job_engine.records.new_job import NewJob

#: The most notices that one call tells.
MOST_TOLD = 500
#: A queue is unserved once a job has waited in it for so long.
UNSERVED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Untold:
    """A notice that was not told yet.

    Attributes:
        job: The name of the job that it is about; None where it is about none, or the job is gone.
        error_type: The type of the last error of that job.
    """

    notice: Notice
    job: str | None = None
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """What a rule has told of a topic, and what it will tell together.

    Attributes:
        rule: The id of the rule.
        topic: What is told together: a kind of notices, of one engine where they are about one.
        until: When it may tell again.
        count: How many notices wait for that.
        first_at: When the first of those happened; None where none waits.
        last_at: When the last of those happened.
        examples: The first ones, as JSON values.
    """

    rule: str
    topic: str
    until: datetime
    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    examples: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """What is to be told, as of one moment of the database's clock."""

    now: datetime
    untold: Sequence[Untold]
    digests: Sequence[Digest]


@dataclass(frozen=True, slots=True)
class Telling:
    """Notices that are told now: by jobs, or later by a digest.

    Attributes:
        notices: The ids of the notices.
        digests: Each digest as it was seen, None where there was none, and as it is to be.
        jobs: What tells them; offered when they are found due, as any job.
    """

    notices: Sequence[str] = ()
    digests: Sequence[tuple[Digest | None, Digest]] = ()
    jobs: Sequence[NewJob] = field(default_factory=list[NewJob])


class NoticeLedger(Protocol):
    """The notices, for the processes that tell them; any number of those, no leader."""

    def pending_notices(self, limit: int = MOST_TOLD) -> Pending:
        """Return the oldest notices that were not told, and every digest."""
        ...

    def tell(self, telling: Telling) -> bool:
        """Mark notices as told and record the jobs that tell them, in one transaction.

        Returns:
            Whether that was done. False, and nothing is changed, where one of the notices was told
            or a digest is no longer as it was seen: another process was first.
        """
        ...

    def note_unserved(self) -> Sequence[str]:
        """Record a notice for each queue in which a job waits and that no live worker serves.

        Once for each queue and hour; a queue that is paused is not meant to be served. A job waits
        that is due or offered, and was recorded `UNSERVED_AFTER` ago.

        Returns:
            The queues that this call has recorded one for, in their order.
        """
        ...
