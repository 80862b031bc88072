"""A wait meets one event that was sent to it, and misses none that was there in time."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from failsoft.job_engine.invariants import Violation
from tests.chaos.history.evidence import Case
from tests.chaos.history.timeline import TICK
from tests.chaos.workload.handlers import NOTHING, WAIT, WAITS
from tests.chaos.workload.operations import OK, SEND
from tests.chaos.workload.script import step_name
from tests.deployments.effect_log import ENDED, Line

WAIT_US = WAIT // timedelta(microseconds=1)


def met_the_same(case: Case) -> Iterator[Violation]:
    """Find waits that met one thing in one attempt and another in the next."""
    for step, lines in _met(case).items():
        answers = {line.met for line in lines}
        if len(answers) > 1:
            yield _broken(case, "what a step met stays the same", f"{step} met {answers}")


def met_what_was_sent(case: Case) -> Iterator[Violation]:
    """Find waits that met what was not sent to this job before, or what another had met."""
    sent = {each.op: each for each in case.operations if each.kind == SEND}
    first = {step: lines[0] for step, lines in _met(case).items() if lines[0].met != NOTHING}
    for line in first.values():
        if line.met not in sent or sent[line.met].invoked > line.at:
            yield _broken(case, "a wait meets what was sent to it", f"it met {line}")
    if len({line.met for line in first.values()}) < len(first):
        yield _broken(case, "a job receives an event once", f"it met {list(first.values())}")


def misses_nothing(case: Case) -> Iterator[Violation]:
    """Find waits in vain although more was sent, in time and acknowledged, than was received.

    A wait that the ledger's clock leaps over ends then.
    """
    met = {step: lines[0] for step, lines in _met(case).items()}
    begins = _begins_to_wait(case)
    for step in (step for step in WAITS if step in met):
        ends = case.time.passed(begins, WAIT_US)
        missed = _sent_before(case, ends - TICK) - {line.met for line in met.values()}
        if met[step].met == NOTHING and missed:
            found = f"{step} waited from {begins} on and met none of {missed}"
            yield _broken(case, "what was sent in time is received", found)
        # The next wait begins after this one was written down.
        begins = met[step].at


def _met(case: Case) -> Mapping[str, list[Line]]:
    return {step: lines for step in WAITS if (lines := case.met_of(step))}


def _begins_to_wait(case: Case) -> int:
    """Return the earliest moment: the end of the step before the waits."""
    before = step_name(case.script.waits_after)
    ends = (line.at for line in case.lines if line.phase == ENDED and line.step == before)
    return min(ends, default=case.created_at)


def _sent_before(case: Case, moment: int) -> set[str]:
    sent = (each for each in case.operations if each.kind == SEND and each.outcome == OK)
    return {each.op for each in sent if each.returned is not None and each.returned < moment}


def _broken(case: Case, rule: str, found: str) -> Violation:
    return Violation(case.job_id, "events", rule, found)
