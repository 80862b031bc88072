"""What the effect log saw, against what the ledger says and docs/explain/protocol.md promises.

A step begins at the instant at which its authority check is answered, while the effect log sees the
first instruction of its body. A process that is halted between the two runs the body late: at
most one step for each attempt that lost its authority. That, and no more, is let pass here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.job import CancelOutcome, StepKind
from failsoft.job_engine.records.states import (
    CRASH,
    CRASH_OUT,
    EXHAUST,
    FAIL,
    RECOVER,
    RELEASE,
    RETRY,
    STOP,
)
from tests.chaos.history.evidence import Case
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.operations import CANCEL, OK
from tests.deployments.effect_log import ENDED, Line

#: How late a body may run after its answer without another look: about a second (rule 8), with as
#: much again for a machine that is busy, in microseconds.
LATE = 2_000_000

#: The ends of attempts that can come in the middle of a step.
CUT_OFF = frozenset(
    each.name for each in (RECOVER, EXHAUST, RETRY, FAIL, CRASH, CRASH_OUT, RELEASE, STOP)
)


def ran_under_its_claim(case: Case) -> Iterator[Violation]:
    """Find steps of attempts that the ledger does not know, or not on that engine (I2, I8)."""
    for line in case.lines:
        attempt = case.attempt(line.attempt)
        if attempt is None:
            yield _broken(case, "I2", "what runs has claimed", f"no such attempt: {line}")
        elif attempt.engine != line.engine:
            found = f"claimed by {attempt.engine}: {line}"
            yield _broken(case, "I8", "what runs has claimed on its engine", found)
        elif line.at < case.at(attempt.started_at) - TICK:
            yield _broken(case, "I2", "nothing runs before its claim", f"too early: {line}")


def one_run_each(case: Case) -> Iterator[Violation]:
    """Find attempts that ran twice, and steps that one attempt began twice (I2, I7)."""
    runs = {(line.attempt, line.actor, line.pid) for line in case.begun}
    for attempt, count in Counter(attempt for attempt, *_ in runs).items():
        if count > 1:
            yield _broken(case, "I2", "an attempt runs once", f"attempt {attempt}: {runs}")
    for what, count in Counter((line.attempt, line.step) for line in case.begun).items():
        if count > 1:
            yield _broken(case, "I7", "an attempt begins a step once", f"{what}: {count} times")


def finished_stay_finished(case: Case) -> Iterator[Violation]:
    """Find steps that began after their result was recorded (I5)."""
    recorded = {each.name: each for each in case.history.steps if each.kind is not StepKind.INTENT}
    for line in case.begun:
        step, attempt = recorded.get(line.step), case.attempt(line.attempt)
        if step is None or attempt is None or line.at <= case.at(step.recorded_at) + TICK:
            continue
        # An older attempt that lost its authority may run late the one step it was answered for.
        if attempt.epoch >= step.epoch or not _ran_late(case, line):
            found = f"recorded {case.at(step.recorded_at)} by epoch {step.epoch}: {line}"
            yield _broken(case, "I5", "a finished step never begins again", found)


def nothing_begins_without_authority(case: Case) -> Iterator[Violation]:
    """Find steps that began after the authority of their attempt had ended (I3, I7, I8)."""
    late = [line for line in case.begun if is_late(case, line)]
    for line in late:
        if not _ran_late(case, line):
            yield _broken(case, "I8", "no step begins after the hand-over", f"late: {line}")
    for number, count in _turns(case, late).items():
        if count > 1:
            found = f"attempt {number} began {count} steps after its end"
            yield _broken(case, "I7", "at most one late step an attempt", found)


def effects_are_bounded(case: Case) -> Iterator[Violation]:
    """Find plain steps that ran more often than once and once for each attempt cut off in them.

    An attempt was cut off in a step if it began it, did not record it and ended by a hand-over, a
    crash, a release, a cancel, or the exception that the retry policy answers (I7).
    """
    recorded = {
        each.name: each.epoch for each in case.history.steps if each.kind is not StepKind.INTENT
    }
    for name, count in Counter(line.step for line in case.begun).items():
        cut_off = {
            line.attempt
            for line in case.begun
            if line.step == name and _was_cut_off(case, line, recorded.get(name))
        }
        if count > 1 + len(cut_off) or (name in recorded and count > 1 and not cut_off):
            found = f"{name} began {count} times, cut off in attempts {sorted(cut_off)}"
            yield _broken(case, "I7", "a plain step repeats only where it was cut off", found)


def once_begins_once(case: Case) -> Iterator[Violation]:
    """Find steps that began again although it was unknown what had become of them (I6)."""
    begun = [line for line in case.begun if line.step == case.script.in_doubt]
    if len(begun) > 1:
        yield _broken(case, "I6", "a `once` step begins at most once", f"{begun}")


def recorded_was_done(case: Case) -> Iterator[Violation]:
    """Find recorded steps that the attempt that recorded them did not do before (I7).

    Of a verified `once` step another attempt may have found out that it was done.
    """
    for step in (each for each in case.done if each.name != case.script.in_transaction):
        by_anybody = step.kind is StepKind.ONCE and case.script.verified
        done = [
            line
            for line in case.lines
            if line.phase == ENDED
            and line.step == step.name
            and (by_anybody or _epoch(case, line) == step.epoch)
        ]
        if not done:
            yield _broken(case, "I7", "what is recorded was done", f"no attempt did {step.name}")
        elif done[0].at > case.at(step.recorded_at) + TICK:
            found = f"{step.name} was recorded before it ended: {done[0]}"
            yield _broken(case, "I7", "what is recorded was done before", found)


def cancelled_goes_no_further(case: Case) -> Iterator[Violation]:
    """Find steps that began although a cancel had been acknowledged before (I9)."""
    for operation in case.operations:
        acknowledged = operation.kind == CANCEL and operation.outcome == OK
        ended = operation.answer.get("result") == CancelOutcome.ENDED
        if not acknowledged or ended or operation.returned is None:
            continue
        after = [line for line in case.begun if line.at > operation.returned + TICK]
        for number, count in _turns(case, after).items():
            first = next(line for line in after if line.attempt == number)
            if count > 1 or not _explained(case, first, operation.returned):
                found = f"attempt {number} began {count} steps after {operation}, first {first}"
                yield _broken(case, "I9", "no step begins after a cancel", found)


def is_late(case: Case, line: Line) -> bool:
    """Return whether a body ran when its attempt had no authority any more."""
    attempt = case.attempt(line.attempt)
    return attempt is not None and line.at > case.at(attempt.ended_at) + TICK


def _turns(case: Case, lines: Iterable[Line]) -> Mapping[int, int]:
    """Count the steps of each attempt; those that begin together, after one answer, as one."""
    turns = {(line.attempt, case.script.turn_of(line.step)) for line in lines}
    return Counter(attempt for attempt, _ in turns)


def _was_cut_off(case: Case, line: Line, recorded_by: int | None) -> bool:
    attempt = case.attempt(line.attempt)
    if attempt is None or attempt.epoch == recorded_by:
        return False
    return attempt.outcome in CUT_OFF


def _ran_late(case: Case, line: Line) -> bool:
    """Return whether the process stood still between the answer, in time, and the late body."""
    attempt = case.attempt(line.attempt)
    return attempt is not None and _explained(case, line, case.at(attempt.ended_at))


def _explained(case: Case, line: Line, since: int) -> bool:
    return line.at - since <= LATE or case.was_frozen(line.actor, since - LATE, line.at)


def _epoch(case: Case, line: Line) -> int | None:
    attempt = case.attempt(line.attempt)
    return None if attempt is None else attempt.epoch


def _broken(case: Case, invariant: str, rule: str, found: str) -> Violation:
    return Violation(case.job_id, invariant, rule, found)
