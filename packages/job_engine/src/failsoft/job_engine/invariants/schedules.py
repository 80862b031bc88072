"""What must be true of a schedule, and of the jobs that its ticks have made.

That no tick is missing cannot be seen: jobs are pruned, and a policy leaves out ticks that were
missed or would overlap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from failsoft.job_engine.invariants.history import Span, Violation, is_unsure
from failsoft.job_engine.records.schedules import (
    ORPHANED_AFTER,
    ScheduleRecord,
    tick_id,
    tick_key,
)

LAST = "the last job of a schedule is that of its last tick"
MOVES_ON = "the next tick of a schedule comes after its last one"
OF_ITS_TICK = "the job of a tick is of the schedule's definition"
AFTER_ITS_TICK = "no job of a tick is there before the tick"
NOTED = "a schedule has noted the last tick that made a job"


@dataclass(frozen=True, slots=True)
class Fired:
    """A job whose idempotency key may be that of a tick."""

    job_id: str
    name: str
    key: str
    created_at: datetime

    @property
    def tick(self) -> tuple[str, datetime] | None:
        """Return the schedule and the moment; None if it was dispatched by another key."""
        _, _, rest = self.key.partition(":")
        name, _, moment = rest.partition(":")
        try:
            tick = datetime.fromisoformat(moment)
        except ValueError:
            return None
        is_one = tick.tzinfo is not None and (self.job_id, self.key) == (
            tick_id(name, tick),
            tick_key(name, tick),
        )
        return (name, tick) if is_one else None


def out_of_step(schedule: ScheduleRecord) -> Iterator[Violation]:
    """Find a schedule that would fire its last tick again, or has another job as its last."""
    last, name = schedule.last_at, schedule.name
    wanted = None if last is None else tick_id(name, last)
    if schedule.last_job_id != wanted:
        found = f"it is {schedule.last_job_id}, that of {last} is {wanted}"
        yield Violation(name, "schedules", LAST, found, about="schedule")
    if last is not None and last >= schedule.next_at and _is_judged(schedule, last):
        found = f"the last was {last}, the next is {schedule.next_at}"
        yield Violation(name, "schedules", MOVES_ON, found, about="schedule")


def fired_wrongly(
    schedule: ScheduleRecord, fired: Fired, unsure: Sequence[Span] = ()
) -> Iterator[Violation]:
    """Find the job of a tick that had not come, or that its schedule has no record of.

    Args:
        schedule: The schedule.
        fired: A job.
        unsure: When the clock was set back; it may have been while a tick was fired.
    """
    if fired.tick is None or fired.tick[0] != schedule.name:
        return
    tick, last = fired.tick[1], schedule.last_at
    if fired.name != schedule.name:
        yield Violation(fired.job_id, "schedules", OF_ITS_TICK, f"it is a {fired.name!r}")
    if fired.created_at < tick and not is_unsure(tick, unsure):
        found = f"it was recorded at {fired.created_at}, the tick is {tick}"
        yield Violation(fired.job_id, "schedules", AFTER_ITS_TICK, found)
    if (last is None or last < tick) and _is_judged(schedule, tick):
        found = f"its tick is {tick}, the last of {schedule.name} is {last}"
        yield Violation(fired.job_id, "schedules", NOTED, found)


def _is_judged(schedule: ScheduleRecord, tick: datetime) -> bool:
    """Return whether nothing but a fault explains a schedule that stands before a tick it fired.

    A clock that was set back explains it, until that tick has come again and the process that fires
    the schedule has found its job.
    """
    came_again = tick < schedule.read_at - ORPHANED_AFTER
    return came_again and not schedule.paused and not schedule.is_orphaned
