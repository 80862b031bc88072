"""Every check of a chaos run, over the evidence it leaves; pure, no I/O."""

from collections.abc import Callable, Iterator, Mapping

from failsoft.job_engine.invariants import Violation
from tests.chaos import (
    of_charges,
    of_children,
    of_effects,
    of_ends,
    of_events,
    of_failures,
    of_flow,
    of_keys,
    of_limits,
    of_requests,
    of_steps,
    of_ticks,
    of_times,
)
from tests.chaos.evidence import Case, Evidence
from tests.chaos.linearizability import answers_fit_the_events

OF_THE_RUN: tuple[Callable[[Evidence], Iterator[Violation]], ...] = (
    of_requests.acknowledged_is_there,
    of_requests.asked_for,
    of_requests.one_job_each,
    of_requests.created_once,
    of_requests.other_work_is_refused,
    of_requests.committed_together,
    of_charges.crashes_are_explained,
    of_children.one_child_each,
    of_children.told_as_it_ended,
    of_failures.one_hook_each,
    of_failures.told_what_failed,
    of_flow.all_or_none,
    of_flow.chains_go_on,
    of_flow.groups_complete,
    of_keys.one_at_a_time,
    of_keys.none_beside_another,
    of_keys.stands_in_for_its_like,
    of_limits.no_more_at_once,
    of_ticks.one_job_each,
    of_ticks.none_missing,
    of_ticks.no_overlap,
)

OF_EACH_JOB: tuple[Callable[[Case], Iterator[Violation]], ...] = (
    of_ends.ended,
    of_ends.ended_for_a_reason,
    of_charges.errors_are_its_own,
    of_steps.ran_under_its_claim,
    of_steps.one_run_each,
    of_steps.finished_stay_finished,
    of_steps.nothing_begins_without_authority,
    of_steps.effects_are_bounded,
    of_steps.once_begins_once,
    of_steps.recorded_was_done,
    of_steps.cancelled_goes_no_further,
    of_effects.one_row_each,
    of_effects.by_who_recorded_it,
    of_events.met_the_same,
    of_events.met_what_was_sent,
    of_events.misses_nothing,
    of_times.not_before_its_delay,
    of_times.slept_long_enough,
    of_times.expired_never_began,
    of_times.priority_is_kept,
    answers_fit_the_events,
)


def violations(evidence: Evidence, healed: int) -> Iterator[Violation]:
    """Find every promise that the evidence shows broken.

    The shared invariants over the ledger alone are checked by `failsoft.ledger.verify`.

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
