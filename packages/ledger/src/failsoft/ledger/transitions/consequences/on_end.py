"""What a job's end sets off, in the transaction that ends it."""

from sqlalchemy import Connection

from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import end_topic, waker
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.transitions.compare_and_set import Cause
from failsoft.ledger.transitions.consequences import follow_ups, invoked_jobs, wake


def job_ended(connection: Connection, row: AnyRow) -> None:
    """Count a job that has just ended, and wake those that wait for it.

    Whatever is done here is done once for each job, and is undone with its end if that is not
    committed. It runs while the job's row is locked: lock no other jobs but in one order.

    Args:
        connection: The transaction.
        row: The columns of the job that a conclusion returns; `state` is how it ended.
    """
    ended = [row]
    while ended:
        each = ended.pop()
        if each.parent_id is not None:
            topic = end_topic(each.id)
            wake.lock(connection, topic)
            answer = waker({"job": each.id, "state": each.state})
            wake.wake(connection, topic, Cause(follow_ups.ACTOR, answer))
        if each.state == JobState.CANCELLED:
            ended += invoked_jobs.cancel_awaited(connection, each.id)
        if each.follow_ups is not None:
            ended += follow_ups.trigger(connection, each)


def begin_after(connection: Connection, before: AnyRow, job_id: str) -> None:
    """Let a job that has just been recorded wait for one whose row is locked, or end at once."""
    for row in follow_ups.wait_for(connection, before, job_id):
        job_ended(connection, row)


def group_over(connection: Connection, group: GroupRecord) -> None:
    """Carry out what the end of a group sets off; repeating it is harmless."""
    for row in follow_ups.complete(connection, group):
        job_ended(connection, row)
