"""Doing the work of an ended job again: always a new job, linked to the old one (rule 19)."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine.errors import (
    JobStateError,
    OptionInvalidError,
    StepError,
    UniqueKeyHeldError,
)
from failsoft.job_engine.policies.limits import Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope
from failsoft.job_engine.records.job import JobRecord, StepKind, StepRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.trace_context import back_to
from failsoft.job_engine.validation import Expect, check_said

#: How many dead letters one request means at most.
MOST = 10_000
#: The longest name of a definition, a queue or a step.
MAX_NAME_CHARS = 128

_EXPECT = Expect(OptionInvalidError, "retry: ")


@dataclass(frozen=True, slots=True)
class ManualRetry:
    """A retry that a person requests.

    Attributes:
        retry_of: The job that ended; it stays as it is (I4).
        actor: Who requested it; kept in the new job's first event.
        reason: Why; kept there, too.
        from_step: Only what was recorded before this step is taken over; None takes all.
        payload: Another payload as JSON; nothing recorded is taken over then.
        version: That payload's version; the old job's where None.
        limits: That payload's limits; the old job's where None.
        unique: That payload's unique key, for a job that holds one while it is incomplete.
    """

    retry_of: str
    actor: str
    reason: str = ""
    from_step: str | None = None
    payload: str | None = None
    version: int | None = None
    limits: Limits | None = None
    unique: UniqueKey | None = None

    def __post_init__(self) -> None:
        """Refuse what no history could keep."""
        check_said(_EXPECT, self.actor, self.reason)
        if self.from_step is not None:
            _EXPECT.text("from_step", self.from_step, most=MAX_NAME_CHARS)

    @property
    def id(self) -> str:
        """Return the new job's id: asking for the same again makes no second job."""
        asked = repr((self.retry_of, self.from_step, self.payload))
        return f"r{hashlib.sha256(asked.encode()).hexdigest()[:40]}"

    @property
    def continues(self) -> bool:
        """Return whether the new job goes on with the old one's work, side effects included."""
        return self.from_step is None and self.payload is None

    def check(self, retried: JobRecord) -> None:
        """Refuse a job that this cannot be asked of.

        Raises:
            JobStateError: If the job has not ended; for a plain retry, if it has not failed.
        """
        if self.continues and retried.state is not JobState.FAILED:
            raise JobStateError(
                f"expected a failed job to retry, got job {retried.id}, which is {retried.state}; "
                "name a step to replay from, or another payload, to do ended work again"
            )
        if not retried.state.is_terminal:
            raise JobStateError(
                f"expected a job that has ended, got job {retried.id}, which is {retried.state}"
            )
        # The old key is made of the old payload: a job that held it with another would stand in
        # for work that it does not do.
        unknown = self.payload is not None and self.version is None and _holds_its_key(retried)
        _EXPECT.that(
            not unknown,
            f"another payload with its definition, for the unique key of job {retried.id}",
            "the payload alone; ask by the job's handle",
        )

    def takes_over(self, step: StepRecord, place: int | None) -> bool:
        """Return whether a recorded step is taken over; `place` is that of `from_step`."""
        return self.payload is None and (place is None or step.seq < place)

    def receipts(self, taken: list[StepRecord]) -> list[str]:
        """Return the events that the steps taken over have received: none of them comes again."""
        met = (json.loads(step.result) for step in taken if step.kind is StepKind.ANSWERED)
        return sorted({answer["id"] for answer in met if "id" in answer})

    def place(self, steps: list[StepRecord]) -> int | None:
        """Return the place of `from_step`; None if everything is taken over.

        Raises:
            StepError: If no such step is recorded.
        """
        if self.from_step is None:
            return None
        for step in steps:
            if step.name == self.from_step:
                return step.seq
        known = ", ".join(step.name for step in steps) or "there is none"
        raise StepError(
            f"expected a recorded step of job {self.retry_of} ({known}), got {self.from_step!r}"
        )

    def idempotency_root(self, retried: JobRecord) -> str | None:
        """Return the job whose idempotency keys the new job goes on with, if it does.

        What may have taken effect is done again under the key it was done with; what is to
        be done anew, or with another payload, is not.
        """
        return (retried.idempotency_root or retried.id) if self.continues else None

    def unique_key(self, retried: JobRecord) -> UniqueKey | None:
        """Return the unique key that the new job holds: what the old one held until it ended.

        A key that limits dispatches, for a period or until a job begins, is none of a retry's.
        """
        if not _holds_its_key(retried):
            return None
        kept = UniqueKey(str(retried.unique_key), UniqueScope.INCOMPLETE)
        key = kept if self.payload is None else self.unique
        return key if key is not None and key.scope is UniqueScope.INCOMPLETE else None

    def refused_for(self, holder: JobRecord) -> UniqueKeyHeldError:
        """Return the error for a new job whose unique key another one holds."""
        return UniqueKeyHeldError(self.retry_of, holder.id, holder.state)

    def follow_ups(self, retried: JobRecord) -> str | None:
        """Return what the new job's end sets off: a failure's hook, as before.

        A chain was cancelled when the old job failed, and a group has counted it.
        """
        kept = json.loads(retried.follow_ups or "{}").get("on_failure")
        return None if kept is None else json.dumps({"on_failure": kept})

    def trace_context(self, retried: JobRecord) -> str | None:
        """Return what the new job keeps of the old one's trace: its own one links back to it."""
        return back_to(retried.trace_context)

    def detail(self, taken_over: list[str]) -> dict[str, object]:
        """Return what the first event of the new job keeps."""
        said: dict[str, object] = {
            "retry_of": self.retry_of,
            "reason": self.reason,
            "from_step": self.from_step,
            "copied": taken_over,
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Which failed jobs are meant, the oldest first; those tried again before never are.

    Attributes:
        name: Only of this definition.
        queue: Only of this queue.
        since: Only those that failed so recently.
        limit: How many at most.
    """

    name: str | None = None
    queue: str | None = None
    since: timedelta | None = None
    limit: int = MOST

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        _EXPECT.whole("a limit", self.limit, least=1, most=MOST)
        if self.since is not None:
            _EXPECT.span("a since", self.since)
        for name in ("name", "queue"):
            if (value := getattr(self, name)) is not None:
                _EXPECT.text(f"a {name}", value, most=MAX_NAME_CHARS)


def _holds_its_key(job: JobRecord) -> bool:
    """Return whether a job holds a unique key as long as it has not ended."""
    return job.unique_key is not None and job.unique_scope is UniqueScope.INCOMPLETE
