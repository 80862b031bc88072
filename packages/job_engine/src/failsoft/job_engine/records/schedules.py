"""What passes between the ledger and the processes that fire schedules."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from failsoft.job_engine.records.new_job import NewJob

#: A schedule that no process has declared for so long is an orphan.
ORPHANED_AFTER = timedelta(minutes=2)

#: Why a schedule's next tick was left out for an earlier one.
SET_BACK = "the ledger's clock was ahead of now, or is behind"


def tick_key(name: str, tick: datetime) -> str:
    """Return the idempotency key of a tick's job."""
    return f"schedule:{name}:{tick.isoformat()}"


def tick_id(name: str, tick: datetime) -> str:
    """Return the id of a tick's job: the same whichever process fires it."""
    # The time comes first, as in every id.
    suffix = hashlib.sha256(tick_key(name, tick).encode()).hexdigest()[:20]
    return f"{int(tick.timestamp() * 1000):012x}{suffix}"


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """One schedule, as the ledger keeps it.

    Attributes:
        name: The name of its job.
        spec: What `Schedule.spec` made of its declaration.
        read_at: When it was read, on the database's clock.
        declared_at: When a process that runs this spec declared it last.
        former: The specs that it had before, as their SHA-256, the oldest first.
        next_at: Its next tick; it may have passed.
        last_at: The tick that was fired last, and `last_job_id` the job.
        skipped_at: The tick left out last, or the first of several; `skip_reason` says why.
        skips: How many were left out in a row.
    """

    name: str
    spec: str
    read_at: datetime
    declared_at: datetime
    next_at: datetime
    former: tuple[str, ...] = ()
    paused: bool = False
    last_at: datetime | None = None
    last_job_id: str | None = None
    skipped_at: datetime | None = None
    skip_reason: str | None = None
    skips: int = 0

    @property
    def is_orphaned(self) -> bool:
        """Return whether no process declares it any more, so that none fires it either.

        One that was declared last by a clock that was ahead would have been declared since.
        """
        return abs(self.read_at - self.declared_at) > ORPHANED_AFTER


@dataclass(frozen=True, slots=True)
class ScheduleDeclaration:
    """A schedule about to be recorded, or to take the place of an older spec."""

    name: str
    spec: str
    next_at: datetime
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """What is to become of a tick that is due.

    Attributes:
        at: The tick.
        next_at: The tick after it.
        job: Its job; None leaves the tick out.
        unless_running: Leave it out if the job of the tick before has not ended. A job whose
            tick is still to come, fired by a clock that was ahead, counts once it was begun.
        reason: Why it is left out.
    """

    at: datetime
    next_at: datetime
    job: NewJob | None
    unless_running: bool = False
    reason: str = ""


def skipped(seen: ScheduleRecord, tick: Tick, reason: str) -> dict[str, Any]:
    """Return what of a schedule a tick changes that is left out."""
    return {"skipped_at": tick.at, "skip_reason": reason, "skips": seen.skips + 1}


def skip_notice(seen: ScheduleRecord, tick: Tick) -> str:
    """Return the id of the notice that a tick is one of several in a row that were left out."""
    return f"schedule.skip:{seen.name}:{tick.at.isoformat()}"


class TickOutcome(StrEnum):
    """What became of a tick."""

    FIRED = "fired"
    SKIPPED = "skipped"
    #: Another process took it on, or the schedule was changed or paused: leave it alone.
    STALE = "stale"


class ScheduleLedger(Protocol):
    """The schedules, one by the name of each job that has one."""

    def schedules(self) -> tuple[datetime, Sequence[ScheduleRecord]]:
        """Return the database's time and every schedule, by name."""
        ...

    def declare_schedule(self, seen: ScheduleRecord | None, new: ScheduleDeclaration) -> bool:
        """Record a schedule, or replace its spec; return whether that was done.

        Args:
            seen: The schedule as it was read; None if there was none. One that is no longer so
                is left alone.
            new: What is declared.
        """
        ...

    def confirm_schedules(self, specs: Sequence[tuple[str, str]]) -> None:
        """Note that a process runs these specs, given as name and spec; others are left alone."""
        ...

    def take_tick(self, seen: ScheduleRecord, tick: Tick) -> TickOutcome:
        """Fire a tick, or leave it out, in one transaction with its job.

        One compare-and-set on spec, next tick and pause decides, so that each tick is taken once,
        and none of a spec that was replaced.
        """
        ...

    def set_back(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        """Let an earlier tick be the next; False if the schedule is no longer as it was seen.

        The tick that was the next is noted as left out, for the reason `SET_BACK`.
        """
        ...

    def pause_schedule(self, name: str) -> bool:
        """Fire no tick until it is resumed; False if there is no such schedule."""
        ...

    def resume_schedule(self, seen: ScheduleRecord, next_at: datetime) -> bool:
        """Go on with a later tick; False if the spec is no longer as it was seen."""
        ...
