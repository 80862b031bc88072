"""Of the jobs that share a limit, no more bodies run at once, with authority, than it says (I12).

How many attempts begin within a period shows in the ledger only, where `verify` counts them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.states import DEFER, JobState
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.timeline import TICK
from tests.chaos.promises.steps import is_late
from tests.chaos.workload.definitions import LIMITED, two_at_once
from tests.deployments.effect_log import ENDED, Line


@dataclass(frozen=True, slots=True)
class Body:
    """A stretch in which an attempt ran the body of a step and had the authority."""

    job_id: str
    begins: int
    ends: int


def no_more_at_once(evidence: Evidence) -> Iterator[Violation]:
    """Find bodies that began while as many of their key as may run were running."""
    assert two_at_once.concurrency is not None
    most = two_at_once.concurrency.limit
    for customer, bodies in _by_customer(evidence).items():
        for body in bodies:
            others = {each.job_id for each in bodies if _runs_beside(each, body)}
            if len(others) >= most:
                found = f"{customer}: at {body.begins} it ran beside {sorted(others)}"
                yield Violation(body.job_id, "I12", f"{most} of a key run at once", found)


def waited_for_its_turn(case: Case) -> bool:
    """Return whether a limit left no room for a job when it was dispatched, or was to begin."""
    events = case.history.events
    waits = events[0].state is JobState.SCHEDULED or any(e.kind == DEFER.name for e in events)
    return waits and case.name in {each.name for each in LIMITED}


def _runs_beside(other: Body, body: Body) -> bool:
    runs = other.begins <= body.begins < other.ends - TICK
    return runs and other.job_id != body.job_id


def _by_customer(evidence: Evidence) -> dict[str, Sequence[Body]]:
    bodies: dict[str, list[Body]] = defaultdict(list)
    for case in evidence.of_name(two_at_once.name):
        bodies[case.script.customer] += _bodies(case)
    return {customer: found for customer, found in bodies.items() if found}


def _bodies(case: Case) -> Iterator[Body]:
    for line in case.begun:
        attempt = case.attempt(line.attempt)
        if attempt is not None and not is_late(case, line):
            ends = min(_end_of(case, line), case.at(attempt.ended_at))
            yield Body(case.job_id, line.at, ends)


def _end_of(case: Case, begun: Line) -> int:
    same = (each for each in case.lines if (each.step, each.attempt) == (begun.step, begun.attempt))
    return next((each.at for each in same if each.phase == ENDED), case.ended_at)
