"""What must be true of a job that another's failure has set off.

It is recorded by the transaction in which that one failed. Both may be pruned, so that only what
is still there can be compared; that there is one at most, its id and its key say.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from failsoft.job_engine.invariants.chains import read_follow_ups
from failsoft.job_engine.invariants.history import Violation
from failsoft.job_engine.records.follow_ups import failure_id
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState

BY_A_FAILURE = "a failure sets off the job of its own hook, and nothing else does"


@dataclass(frozen=True, slots=True)
class SetOff:
    """A job with the key of a hook's, and the job that this key names."""

    hook: JobRecord
    failed: JobRecord


def set_off_by_nothing(pair: SetOff) -> Iterator[Violation]:
    """Find the job of a hook whose job did not fail, or has another hook or none."""
    hook, failed = pair.hook, pair.failed
    # A job that was recorded after the hook's has the id of a failed job that was pruned.
    if hook.id != failure_id(failed.id) or failed.created_at > hook.created_at:
        return
    follow_ups = read_follow_ups(failed.follow_ups)
    wanted = (
        None if follow_ups is None or follow_ups.on_failure is None else follow_ups.on_failure.name
    )
    if failed.state is not JobState.FAILED or wanted != hook.name:
        found = f"job {failed.id} is {failed.state}, and its hook is {wanted}"
        yield Violation(hook.id, "on_failure", BY_A_FAILURE, found)
