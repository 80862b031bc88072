"""Every check of a chaos run, over the evidence it leaves; pure, no I/O."""

from collections.abc import Callable, Iterator, Mapping

from failsoft.job_engine.invariants import Violation
from tests.chaos.history.evidence import Case, Evidence
from tests.chaos.history.linearizability import answers_fit_the_events
from tests.chaos.promises import (
    charges,
    children,
    effects,
    ends,
    events,
    failures,
    flow,
    keys,
    limits,
    requests,
    steps,
    ticks,
    times,
)

OF_THE_RUN: tuple[Callable[[Evidence], Iterator[Violation]], ...] = (
    requests.acknowledged_is_there,
    requests.requested,
    requests.one_job_each,
    requests.created_once,
    requests.other_work_is_refused,
    requests.committed_together,
    charges.crashes_are_explained,
    children.one_child_each,
    children.told_as_it_ended,
    failures.one_hook_each,
    failures.told_what_failed,
    flow.all_or_none,
    flow.chains_go_on,
    flow.groups_complete,
    keys.one_at_a_time,
    keys.none_beside_another,
    keys.stands_in_for_its_like,
    limits.no_more_at_once,
    ticks.one_job_each,
    ticks.none_missing,
    ticks.no_overlap,
)

OF_EACH_JOB: tuple[Callable[[Case], Iterator[Violation]], ...] = (
    ends.ended,
    ends.ended_for_a_reason,
    charges.errors_are_its_own,
    steps.ran_under_its_claim,
    steps.one_run_each,
    steps.finished_stay_finished,
    steps.nothing_begins_without_authority,
    steps.effects_are_bounded,
    steps.once_begins_once,
    steps.recorded_was_done,
    steps.cancelled_goes_no_further,
    effects.one_row_each,
    effects.by_who_recorded_it,
    events.met_the_same,
    events.met_what_was_sent,
    events.misses_nothing,
    times.not_before_its_delay,
    times.slept_long_enough,
    times.expired_never_began,
    times.priority_is_kept,
    answers_fit_the_events,
)


def violations(evidence: Evidence, healed: int) -> Iterator[Violation]:
    """Find every promise that the evidence shows broken.

    The shared invariants over the ledger alone are checked by `failsoft.ledger.verify`.

    Args:
        healed: When the last fault was undone, in microseconds of the monotonic clock.
    """
    for check in OF_THE_RUN:
        yield from check(evidence)
    yield from requests.healthy_again(evidence, healed)
    for case in evidence.cases.values():
        for check in OF_EACH_JOB:
            yield from check(case)


def vacuous(counts: Mapping[str, int], least: Mapping[str, int]) -> list[str]:
    """Report what a run has seen too little to mean anything."""
    return [
        f"expected at least {wanted} {what}, got {counts.get(what, 0)}"
        for what, wanted in least.items()
        if counts.get(what, 0) < wanted
    ]
