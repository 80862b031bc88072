"""Every check of a chaos run, over the evidence it leaves; pure, no I/O."""

from collections.abc import Callable, Iterator, Mapping

from tests.chaos import of_ends, of_requests, of_steps
from tests.chaos.evidence import Case, Evidence
from tests.chaos.linearizability import answers_fit_the_events
from understudy.job_engine.invariants import Violation

OF_THE_RUN: tuple[Callable[[Evidence], Iterator[Violation]], ...] = (
    of_requests.acknowledged_is_there,
    of_requests.asked_for,
    of_requests.one_job_each,
    of_requests.created_once,
    of_requests.other_work_is_refused,
)

OF_EACH_JOB: tuple[Callable[[Case], Iterator[Violation]], ...] = (
    of_ends.ended,
    of_ends.ended_for_a_reason,
    of_steps.ran_under_its_claim,
    of_steps.one_run_each,
    of_steps.finished_stay_finished,
    of_steps.nothing_begins_without_authority,
    of_steps.effects_are_bounded,
    of_steps.once_begins_once,
    of_steps.recorded_was_done,
    of_steps.cancelled_goes_no_further,
    answers_fit_the_events,
)


def violations(evidence: Evidence, healed: int) -> Iterator[Violation]:
    """Find every promise that the evidence shows broken.

    The shared invariants over the ledger alone are checked by `understudy.ledger.verifying`.

    Args:
        healed: When the last fault was undone, in microseconds of the monotonic clock.
    """
    for of_run in OF_THE_RUN:
        yield from of_run(evidence)
    yield from of_requests.healthy_again(evidence, healed)
    for case in evidence.cases.values():
        for of_job in OF_EACH_JOB:
            yield from of_job(case)


def vacuous(counts: Mapping[str, int], least: Mapping[str, int]) -> list[str]:
    """Tell of what a run has seen too little to mean anything."""
    return [
        f"expected at least {wanted} {what}, got {counts.get(what, 0)}"
        for what, wanted in least.items()
        if counts.get(what, 0) < wanted
    ]
