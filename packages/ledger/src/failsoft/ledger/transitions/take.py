"""Taking offers for a worker of the engine that is the ledger: a hint, and no authority.

The claim decides about each as about any message (rule 6). `taken_until` only spares the workers
of a queue from claiming the same job: losing it costs a claim that is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, exists, func, or_, select, update

from failsoft.job_engine.ports.offered import TAKEN
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow, AnySelect, execute
from failsoft.ledger.database.raw_connections import RawConnection
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.conditions import IS_PAUSED
from failsoft.ledger.schema.jobs import in_state, jobs
from failsoft.ledger.schema.tables import pauses

_TAKEN = microseconds(TAKEN)
#: What an engine has been offered in a queue.
ARE_OFFERED = (
    in_state(JobState.OFFERED),
    jobs.c.engine == bindparam("engine"),
    jobs.c.queue == bindparam("queue"),
)
#: Looked at once, where `IS_PAUSED` is looked at for each job: all of a paused queue may wait.
_IS_QUEUE_PAUSED = exists().where(pauses.c.kind == "queue", pauses.c.name == bindparam("queue"))
_IS_FREE = or_(
    jobs.c.taken_until.is_(None),
    jobs.c.taken_until <= now_us(),
    # No worker has one for longer; this was written by a clock that was ahead.
    jobs.c.taken_until > now_us() + _TAKEN,
)
#: Those of them that may begin now, first things first.
FIRST = (
    select(jobs.c.id)
    .where(*ARE_OFFERED, ~_IS_QUEUE_PAUSED, ~IS_PAUSED, _IS_FREE)
    .order_by(jobs.c.priority.desc(), jobs.c.created_at)
    .limit(bindparam("most"))
)
_SHOWN = (jobs.c.id, jobs.c.epoch, jobs.c.priority, jobs.c.created_at)


def _taking(first: AnySelect, *more: Any) -> Any:
    return (
        update(jobs)
        .where(jobs.c.id.in_(first))
        .values(taken_until=now_us() + _TAKEN)
        .returning(*_SHOWN, *more)
    )


_TAKE_FROM_SQLITE = _taking(FIRST)
#: One that another worker takes at this moment is passed over. No commit waits for the disk: what
#: a crash loses of it is no loss.
_TAKE = _taking(
    select(FIRST.with_for_update(skip_locked=True).cte("first").c.id),
    func.set_config("synchronous_commit", "off", True).label("waits_for_disk"),
)


def take(raw: RawConnection, wanted: Mapping[str, Any], *, on_sqlite: bool) -> Sequence[AnyRow]:
    """Take up to `most` offers of an `engine` in a `queue`; return what the claims need of each."""
    return execute(raw, _TAKE_FROM_SQLITE if on_sqlite else _TAKE, wanted).rows
