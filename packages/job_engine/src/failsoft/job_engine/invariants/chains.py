"""What must be true of the jobs that wait for others: links of chains, completions of groups.

The transaction that ends what a job waits for starts it, or cancels it. Nothing else looks at it,
for it has no time. What was pruned says nothing: an id may be used again then, so
that a job which has begun is only taken for a link if both were recorded at one moment. Nor are the
results compared that a chain has passed on: a started job may be dispatched again and replaced.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine.invariants.history import Finding, History, Violation
from failsoft.job_engine.records.follow_ups import FollowUps, follow_ups_from
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState

#: What one transaction records is no further apart.
AT_ONCE = timedelta(seconds=1)

WILL_BE_STARTED = "what a job waits for is there, has not ended and starts it"
IN_ITS_TURN = "the next job of a chain starts when the one before it has succeeded"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for the end of another, or of a group.

    Attributes:
        waits_for: The id that its row names.
        before: The job of that id, if there is one.
        group: The group of that id, if there is one.
    """

    job_id: str
    waits_for: str
    before: JobRecord | None
    group: GroupRecord | None


@dataclass(frozen=True, slots=True)
class Link:
    """A job, and the one that its success starts."""

    before: JobRecord
    after: JobRecord


def never_offered_while_it_waits(history: History) -> Iterator[Finding]:
    """Find a job that waits for another and was offered, or has a time at which it would be."""
    job = history.job
    if job.waits_for is not None and (job.epoch or job.run_at is not None):
        found = f"it waits for {job.waits_for}, has epoch {job.epoch} and run_at={job.run_at}"
        yield found, tuple(history.events[1:])


def follow_ups_can_be_read(history: History) -> Iterator[Finding]:
    """Find a job that cannot end: what that would set off cannot be read."""
    text = history.job.follow_ups
    if text is not None and read_follow_ups(text) is None:
        yield f"its follow-ups are {text!r}", ()


def waits_in_vain(waiting: Waiting) -> Iterator[Violation]:
    """Find a job that nothing would ever start (I1)."""
    before, group = waiting.before, waiting.group
    if before is not None and not before.state.is_terminal and _starts(before, waiting.job_id):
        return
    if group is not None and not group.is_over and group.completion_id == waiting.job_id:
        return
    found = f"it waits for {waiting.waits_for}, {_said_of(before, group)}"
    yield Violation(waiting.job_id, "I1", WILL_BE_STARTED, found)


def started_out_of_turn(link: Link) -> Iterator[Violation]:
    """Find the next job of a chain that was started although the one before had not succeeded."""
    before, after = link.before, link.after
    started = after.waits_for is None and recorded_at_once(before, after)
    if started and before.state is not JobState.SUCCEEDED and _starts(before, after.id):
        found = f"it is {after.state}, job {before.id} before it is {before.state}"
        yield Violation(after.id, "chains", IN_ITS_TURN, found)


def recorded_at_once(one: JobRecord, other: JobRecord) -> bool:
    """Return whether two jobs were recorded by one transaction, as far as their times show."""
    return abs(one.created_at - other.created_at) <= AT_ONCE


def read_follow_ups(text: str | None) -> FollowUps | None:
    """Return what the end of a job sets off; None if it is nothing, or cannot be read."""
    try:
        return None if text is None else follow_ups_from(text)
    except ValueError:
        return None


def _starts(before: JobRecord, job_id: str) -> bool:
    follow_ups = read_follow_ups(before.follow_ups)
    if follow_ups is None:
        return False
    is_next = follow_ups.then is not None and follow_ups.then.job_id == job_id
    return is_next or job_id in follow_ups.waiting


def _said_of(before: JobRecord | None, group: GroupRecord | None) -> str:
    if group is not None:
        over = "is over" if group.is_over else f"has {group.ended} of {group.total} jobs ended"
        return f"a group that {over} and is completed by {group.completion_id}"
    return "which is not there" if before is None else f"which is {before.state}"
