"""Each tick of a schedule made one job; those left out were left out by its policy."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from failsoft.dispatcher.maintenance.cron import LATENESS
from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.policies.schedule import Schedule
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import AHEAD, BEHIND, RIGHT, TICK
from tests.chaos.workload.definitions import SCHEDULED

MOST = 1_000_000
#: How long it may take from the look at the clock until a tick's job is recorded, in microseconds.
PASS = 5_000_000


def one_job_each(evidence: Evidence) -> Iterator[Violation]:
    """Find ticks with several jobs, jobs of no tick, and jobs that ran before theirs.

    It is a tick's time when the ledger's clock says so, though it be ahead.
    """
    for name, schedule in _schedules():
        seen: dict[datetime, str] = {}
        for case in evidence.of_name(name):
            tick = tick_of(case)
            if tick not in schedule.ticks(tick, tick, 1):
                yield _broken(case, "a tick is one of the schedule's", f"{tick} is none")
            if seen.setdefault(tick, case.job_id) != case.job_id:
                yield _broken(case, "a tick makes one job", f"so is {seen[tick]} of {tick}")
            if case.first_begun < case.time.first_told(tick) - TICK:
                yield _broken(case, "no job runs before its tick", f"{case.lines[0]}")


def none_missing(evidence: Evidence) -> Iterator[Violation]:
    """Find ticks without a job that no policy left out, from the first job of a schedule on.

    A process that starts while the clock is behind fires ticks from before the schedule was there,
    but has no time for all of them.
    """
    ends = {record.name: record.next_at for record in evidence.schedules}
    for name, schedule in _schedules():
        fired = {tick_of(case): case for case in evidence.of_name(name)}
        known = [tick for tick, case in fired.items() if _fired_by(case) != BEHIND]
        if not known:
            continue
        for tick in schedule.ticks(min(known), ends.get(name, max(fired)), MOST):
            if (
                tick not in fired
                and tick != ends.get(name)
                and not _left_out(schedule, tick, fired)
            ):
                found = f"{name} has no job of {tick}"
                yield Violation("", "schedules", "no tick is missing", found)


def no_overlap(evidence: Evidence) -> Iterator[Violation]:
    """Find ticks that were fired while the job that was fired before had not ended.

    One that is to come for the clock that fires the next does not count before it has begun: it was
    fired by a clock that was ahead, or before the clock was set back.
    """
    for name, schedule in _schedules():
        cases = sorted(evidence.of_name(name), key=lambda case: case.created_at)
        for before, after in pairwise(cases if schedule.overlap == "skip" else ()):
            was_set_back = _fired_by(after) == BEHIND and _fired_by(before) != BEHIND
            is_ahead = _fired_by(before) == AHEAD or was_set_back
            is_to_come = is_ahead and before.first_begun > after.created_at - TICK
            if before.ended_at > after.created_at + TICK and not is_to_come:
                found = f"fired at {after.created_at}, {before.job_id} ended {before.ended_at}"
                yield _broken(after, "jobs of a schedule do not overlap", found)


def tick_of(case: Case) -> datetime:
    """Return the tick that made a job."""
    return datetime.fromisoformat(case.script.label.removeprefix(f"schedule:{case.name}:"))


def _left_out(schedule: Schedule, tick: datetime, fired: Mapping[datetime, Case]) -> bool:
    """Return whether a policy leaves a tick out: the job before had not ended, or all were late.

    The job before may be that of a later tick, which was fired by a clock that was ahead. How late
    it was found is for the clock to say that fired the next: a process that starts while that is
    ahead takes what it leapt over for missed.
    """
    earlier = max(each for each in fired if each < tick)
    before = fired[earlier]
    moment = before.at(tick)
    leapt = [case for case in fired.values() if _was_fired_ahead_of(case, tick)]
    if schedule.overlap == "skip" and any(
        case.ended_at > moment - TICK for case in (before, *leapt)
    ):
        return True
    if schedule.missed == "all":
        return False
    after = [case for each, case in fired.items() if each > tick]
    if not after:
        return False
    first = min(after, key=lambda case: case.created_at)
    # Those after the first that was missed are left out with it, however little late they are; but
    # what a clock leapt over that was ahead comes again when it is right.
    missed = tick if _fired_by(first) == AHEAD else schedule.after(earlier)
    if _fired_by(first) == AHEAD and first.mark != AHEAD:
        return tick_of(first) - missed >= LATENESS
    return first.history.job.created_at - missed >= LATENESS - timedelta(microseconds=TICK)


def _fired_by(case: Case) -> int:
    """Return the mark of the clock by which a tick was due.

    One that is to come when its job is recorded was due by a clock that was ahead, and was set back
    between the two.
    """
    is_to_come = case.created_at < case.at(tick_of(case)) - TICK
    was_set_back = any(
        leap.mark == RIGHT and leap.earliest <= case.created_at <= leap.latest + PASS
        for leap in case.time.leaps
    )
    return AHEAD if is_to_come and was_set_back else case.mark


def _was_fired_ahead_of(case: Case, tick: datetime) -> bool:
    """Return whether a clock that was ahead fired a later tick when this one was due."""
    is_later = _fired_by(case) == AHEAD and tick_of(case) > tick
    return is_later and case.created_at < case.at(tick) + LATENESS // timedelta(microseconds=1)


def _schedules() -> Iterator[tuple[str, Schedule]]:
    for name, definition in SCHEDULED.items():
        assert definition.schedule is not None
        yield name, definition.schedule


def _broken(case: Case, rule: str, found: str) -> Violation:
    return Violation(case.job_id, "schedules", rule, found)
