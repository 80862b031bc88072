"""A charge that nothing explains is found, and so is an order without its job."""

from dataclasses import replace
from typing import Any

import pytest

from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.job_histories import Story
from tests.chaos.check_tests.sound_history import LABEL, OPERATIONS, case, evidence, instant, strike
from tests.chaos.faults.schedule import Fired
from tests.chaos.history.evidence import Evidence
from tests.chaos.promises import charges, requests
from tests.chaos.promises.charges import crashes_are_explained, errors_are_its_own
from tests.chaos.workload.operations import DISPATCH
from tests.chaos.workload.script import Script

FAILS_TWICE = Script(label="fails", fails_at=1, failures=2)


FROZEN = strike("postgresql: freeze", "SIGSTOP of every process")


def pooled(**changed: Any) -> Evidence:
    """The sound history, whose first attempt's worker reaches the ledger by the pooler."""
    return replace(evidence(**changed), pooled=frozenset({"rq-threads"}))


@pytest.mark.parametrize(
    "explained",
    [
        strike("kill rq", "rq-threads alone"),
        strike("kill a child", "4711 of rq-threads"),
        strike("freeze rq", "rq-threads", at=1),
        strike("terminate a worker", "rq-threads"),
        strike("skew a clock", "rq-threads by +3600 s"),
        strike("link: refuse", "rq-threads to ledger"),
        strike(charges.STALL, charges.MACHINE),
        strike(charges.STALL, "rq-threads"),
    ],
    ids=lambda each: each.kind,
)
def test_a_crash_is_explained_by_what_befell_its_worker(explained: Fired) -> None:
    assert not list(crashes_are_explained(replace(evidence(), strikes=[FROZEN, explained])))


@pytest.mark.parametrize(
    "other",
    [
        strike("postgresql: promote the replica", "kill -9 of the primary"),
        strike("pgbouncer: kill", "2 clients"),
        strike("kill rq", "rq-children"),
        strike("kill rq", None),
        strike("kill rq", "rq-threads", at=20),
        strike(charges.STALL, "rq-children"),
        strike("link: refuse", "rq-threads to valkey"),
    ],
    ids=lambda each: f"{each.kind} {each.detail}",
)
def test_a_crash_of_the_ledger_alone_is_found(other: Fired) -> None:
    assert list(crashes_are_explained(replace(evidence(), strikes=[FROZEN, other])))


@pytest.mark.parametrize(("seconds", "found"), [(1.9, False), (2.1, True)])
def test_a_job_of_a_pooled_worker_that_ended_within_a_lease_keeps_its_charge(
    seconds: float, *, found: bool
) -> None:
    ended = replace(pooled(finished_at=instant(4 + seconds)), strikes=[FROZEN])

    assert bool(list(crashes_are_explained(ended))) is found


def test_a_job_that_ended_within_a_lease_beside_the_pooler_is_found() -> None:
    ended = replace(evidence(finished_at=instant(5)), strikes=[FROZEN])

    assert list(crashes_are_explained(ended))


def test_a_job_that_its_crashes_ended_is_found() -> None:
    state = JobState.FAILED
    ended = replace(pooled(finished_at=instant(5), state=state), strikes=[FROZEN])

    assert list(crashes_are_explained(ended))


def test_a_lease_that_ran_out_while_nothing_was_struck_is_the_machines() -> None:
    assert not list(crashes_are_explained(replace(evidence(), strikes=[])))


def test_any_strike_on_a_worker_explains_the_crash_of_an_unknown_one() -> None:
    strikes = [FROZEN, strike("kill rq", "rq-children")]

    assert not list(crashes_are_explained(replace(evidence(), strikes=strikes, workers={})))


def test_a_crash_that_was_taken_back_needs_no_explanation() -> None:
    assert not list(crashes_are_explained(replace(evidence(crashes=0), strikes=[FROZEN])))


@pytest.mark.parametrize(("errors", "found"), [(2, False), (3, True)])
def test_errors_beyond_the_script_are_found(errors: int, *, found: bool) -> None:
    story = Story("job", FAILS_TWICE)
    story.row = replace(story.row, errors=errors)

    assert bool(list(errors_are_its_own(story.case))) is found


def test_errors_of_a_job_that_raises_nothing_are_found() -> None:
    assert not list(errors_are_its_own(case()))
    assert list(errors_are_its_own(case(errors=1)))


def test_an_order_without_its_job_is_found() -> None:
    assert not list(requests.committed_together(replace(evidence(), orders=[LABEL])))
    assert list(requests.committed_together(replace(evidence(), orders=["alone"])))


def test_a_job_without_the_order_that_was_committed_with_it_is_found() -> None:
    within = [
        replace(each, answer={**each.answer, "way": "Within"}) if each.kind == DISPATCH else each
        for each in OPERATIONS
    ]

    assert list(requests.committed_together(evidence(operations=within)))
