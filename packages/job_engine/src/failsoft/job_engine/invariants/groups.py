"""What must be true of a group, seen beside the jobs that are still there of it.

Each of its jobs is counted when it is recorded and when it has ended, in those transactions. Ended
jobs may be pruned, those that are open never are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from failsoft.job_engine.invariants.chains import AT_ONCE
from failsoft.job_engine.invariants.history import Violation
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import JobRecord

OPEN = "a group has as many open jobs as it counts"
ENDED = "a group counts every job of its own that has ended"
IN_ITS_TURN = "a completion starts when the group is over, and only after the ends it requires"
COUNTED = "the group that counts a job is there"


@dataclass(frozen=True, slots=True)
class Tally:
    """A group, and its jobs as they are.

    Attributes:
        created_at: When it was recorded.
        open: How many of its jobs have not ended.
        succeeded: How many have succeeded and were not pruned; so `failed` and `cancelled`.
        completion: The job that has the id of its completion job now, if there is one.
    """

    group: GroupRecord
    created_at: datetime
    open: int
    succeeded: int
    failed: int
    cancelled: int
    completion: JobRecord | None = None


def miscounted(tally: Tally) -> Iterator[Violation]:
    """Find a group that would be over too early, too late or never, or has wrong numbers."""
    group = tally.group
    if group.total - group.ended != tally.open:
        found = f"{tally.open} are open, it counts {group.ended} ends of {group.total} jobs"
        yield Violation(group.id, "groups", OPEN, found, about="group")
    for end in ("succeeded", "failed", "cancelled"):
        there, counted = getattr(tally, end), getattr(group, end)
        if there > counted:
            found = f"{there} are there that have {end}, it counts {counted}"
            yield Violation(group.id, "groups", ENDED, found, about="group")


def completed_out_of_turn(tally: Tally) -> Iterator[Violation]:
    """Find a completion job that was started before its group was over, or although it may not."""
    group, job = tally.group, tally.completion
    if job is None or job.waits_for is not None:
        return
    # Else another job has taken the id of a completion job that was pruned.
    mine = abs(job.created_at - tally.created_at) <= AT_ONCE
    if mine and not (group.is_over and group.may_complete):
        found = f"it is {job.state}, its group has {group.ended} of {group.total} jobs ended"
        yield Violation(job.id, "groups", IN_ITS_TURN, f"{found}, {group.succeeded} succeeded")


def without_their_group(job_id: str, group_id: str, count: int) -> Violation:
    """Return the violation of jobs, one of them by its id, whose ends no group counts."""
    return Violation(job_id, "I1", COUNTED, f"group {group_id} of {count} jobs is not there")


CHECKS: tuple[Callable[[Tally], Iterator[Violation]], ...] = (miscounted, completed_out_of_turn)
