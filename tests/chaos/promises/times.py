"""Nothing begins before its time, nothing after it has expired, and a sleep lasts."""

from collections.abc import Iterator
from datetime import timedelta

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import EXPIRE, JobState
from tests.chaos.history.evidence import Case
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.handlers import PAUSE, SLEEP

MICROSECOND = timedelta(microseconds=1)


def not_before_its_delay(case: Case) -> Iterator[Violation]:
    """Find jobs whose code ran before their delay was over, by the ledger's clock."""
    earliest = case.time.passed(case.created_at, int(case.script.delay * 1e6))
    if case.first_begun < earliest - TICK:
        found = f"it began {earliest - case.first_begun} us too early: {case.lines[0]}"
        yield Violation(case.job_id, "delay", "a delayed job begins later", found)


def slept_long_enough(case: Case) -> Iterator[Violation]:
    """Find steps after a sleep that began before it was over, or in the attempt that slept."""
    slept = case.step(SLEEP, StepKind.SLEEP)
    after = case.script.step_names[case.script.sleep_after :]
    if slept is None or not case.script.sleep_after:
        return
    wakes = case.time.passed(case.at(slept.recorded_at), PAUSE // MICROSECOND)
    for line in case.begun:
        attempt = case.attempt(line.attempt)
        same = attempt is not None and attempt.epoch == slept.epoch
        if line.step in after and (line.at < wakes - TICK or same):
            found = f"it sleeps until {wakes} from epoch {slept.epoch} on: {line}"
            yield Violation(case.job_id, "sleep", "no step begins while the job sleeps", found)


def expired_never_began(case: Case) -> Iterator[Violation]:
    """Find jobs that expired and had run or whose time was not over, and late first claims.

    By the ledger's clock, whatever it showed: it decides, and what it wrote is mended by it.
    """
    expires = case.history.job.expires_at
    if (expires is not None) != bool(case.script.expires_in):
        yield Violation(
            case.job_id, "expiry", "it expires as was requested", f"it does at {expires}"
        )
    if expires is None:
        return
    for attempt in case.history.attempts[:1]:
        if attempt.started_at > expires + TICK * MICROSECOND:
            found = f"claimed at {attempt.started_at}, expired at {expires}"
            yield Violation(case.job_id, "expiry", "what has expired is not begun", found)
    last = case.history.events[-1]
    # It is looked for and ended in two calls: the clock may be set back in between.
    in_time = case.at(last.at) >= case.time.first_told(expires) - TICK
    if last.kind == EXPIRE.name and (case.lines or not in_time):
        found = f"cancelled at {last.at}, expires at {expires}, saw {case.lines}"
        yield Violation(case.job_id, "expiry", "only what has not begun expires, in time", found)


def priority_is_kept(case: Case) -> Iterator[Violation]:
    """Find jobs with another priority than was requested."""
    if case.was_requested and case.history.job.priority != case.script.priority:
        found = f"it is {case.history.job.priority}, not {case.script.priority}"
        yield Violation(case.job_id, "priority", "a priority is kept", found)


def has_expired(case: Case) -> bool:
    """Return whether it was cancelled because it was not begun in time."""
    return case.state is JobState.CANCELLED and case.history.events[-1].kind == EXPIRE.name
