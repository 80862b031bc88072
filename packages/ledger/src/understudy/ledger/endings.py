"""What a job's end sets off, in the transaction that ends it."""

from sqlalchemy import Connection

from understudy.job_engine.awaited import end_topic, waker
from understudy.job_engine.groups import GroupRecord
from understudy.job_engine.states import JobState
from understudy.ledger import invoking, sequels, waking
from understudy.ledger.changing import Cause
from understudy.ledger.prepared import AnyRow


def job_ended(connection: Connection, row: AnyRow) -> None:
    """Count a job that has just ended, and tell those who wait for it.

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
            waking.lock(connection, topic)
            told = waker({"job": each.id, "state": each.state})
            waking.wake(connection, topic, Cause(sequels.ACTOR, told))
        if each.state == JobState.CANCELLED:
            ended += invoking.cancel_awaited(connection, each.id)
        if each.sequel is not None:
            ended += sequels.set_off(connection, each)


def group_over(connection: Connection, group: GroupRecord) -> None:
    """Carry out what the end of a group sets off; repeating it is harmless."""
    for row in sequels.complete(connection, group):
        job_ended(connection, row)
