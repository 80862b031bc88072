"""Chains and groups run in their order, on either engine, and complete once."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from failsoft.job_engine import JobState, Link
from failsoft.job_engine.errors import JobCancelledError, JobFailedError
from tests.deployments.shared import House
from tests.features.jobs.control.cancel import Gate, gated
from tests.features.jobs.dispatching.dispatch_options import Note, deserted
from tests.features.jobs.timing.flow import FlowNumber, flow_double, flow_gather
from tests.servers.processes import PATIENCE, wait_until

LONG = timedelta(seconds=PATIENCE)


def number(house: House, value: int) -> Link[FlowNumber, int]:
    return Link(flow_double, FlowNumber(number=value), engines=(house.engine,))


def doubled(house: House) -> Link[FlowNumber, int]:
    payload = FlowNumber()
    return Link(flow_double, payload, result_field="number", engines=(house.engine,))


def test_a_chain_runs_in_order_and_passes_results_on(house: House) -> None:
    chain = house.dispatcher.dispatch_chain(number(house, 3), doubled(house), doubled(house))

    assert chain.result(LONG) == 24
    jobs = [each.job() for each in chain.jobs]
    assert {each.engine for each in jobs} == {house.engine}
    for before, after in pairwise(jobs):
        assert before.finished_at is not None
        assert after.started_at is not None
        assert before.finished_at <= after.started_at
    assert [each.claims for each in jobs] == [1, 1, 1]


def test_what_comes_after_a_failure_is_cancelled(house: House) -> None:
    chain = house.dispatcher.dispatch_chain(number(house, -1), doubled(house), doubled(house))

    with pytest.raises(JobFailedError, match="below zero"):
        chain.result(LONG)

    states = [each.status() for each in chain.jobs]
    assert states == [JobState.FAILED, JobState.CANCELLED, JobState.CANCELLED]
    reason = house.ledger.events(chain.jobs[1].id)[-1].detail["reason"]
    assert reason == f"job {chain.jobs[0].id}, which it waited for, failed"


def test_a_group_completes_once_when_all_have_ended(house: House) -> None:
    links = [number(house, value) for value in (1, 2, -1, 4, 5, 6)]

    group = house.dispatcher.dispatch_group(links, flow_gather)

    over = group.wait(LONG)
    assert (over.succeeded, over.failed, over.cancelled) == (5, 1, 0)
    assert group.completion is not None
    assert group.completion.result(LONG) == [6, 5, 1]
    completion = group.completion.job()
    ends = [house.ledger.get(each).finished_at for each in group.job_ids]
    assert completion.started_at is not None
    assert all(end is not None and end <= completion.started_at for end in ends)
    assert completion.claims == 1


def test_a_group_needs_no_completion(house: House) -> None:
    group = house.dispatcher.dispatch_group([number(house, 1), number(house, -1)])

    over = group.wait(LONG)

    assert group.completion is None
    assert (over.total, over.succeeded, over.failed, over.cancelled) == (2, 1, 1, 0)
    states = [house.ledger.get(each).state for each in group.job_ids]
    assert states == [JobState.SUCCEEDED, JobState.FAILED]


def test_a_completion_for_success_starts_only_when_all_have_succeeded(house: House) -> None:
    good, bad = (
        house.dispatcher.dispatch_group(
            [number(house, 1), number(house, last)], flow_gather, when="all_succeeded"
        )
        for last in (2, -1)
    )

    assert good.completion is not None
    assert bad.completion is not None
    assert good.completion.result(LONG) == [2, 2, 0]
    house.wait_for(bad.completion, JobState.CANCELLED)
    assert bad.completion.job().claims == 0
    reason = house.ledger.events(bad.completion.id)[-1].detail["reason"]
    assert reason == "1 of 2 jobs of the group did not succeed"


def test_cancelling_a_group_cancels_its_jobs_and_its_completion(
    house: House, tmp_path: Path
) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    waits: Link[Note, str] = Link(deserted, Note(), engines=(house.engine,))
    group = house.dispatcher.dispatch_group([passing(house, gate), waits], flow_gather)
    wait_until(gate.entered.exists, PATIENCE, "a job of the group runs")

    group.cancel()
    gate.opened.touch()

    over = group.wait(LONG)
    assert (over.succeeded, over.failed, over.cancelled) == (0, 0, 2)
    assert group.completion is not None
    assert group.completion.status() is JobState.CANCELLED
    assert group.completion.job().claims == 0


def test_cancelling_a_chain_cancels_what_has_not_ended(house: House, tmp_path: Path) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    chain = house.dispatcher.dispatch_chain(
        number(house, 1), passing(house, gate), number(house, 2)
    )
    wait_until(gate.entered.exists, PATIENCE, "the second job runs")

    chain.cancel()
    gate.opened.touch()

    with pytest.raises(JobCancelledError):
        chain.result(LONG)
    ended = [JobState.SUCCEEDED, JobState.CANCELLED, JobState.CANCELLED]
    assert [each.status() for each in chain.jobs] == ended
    assert [step.name for step in house.ledger.steps(chain.jobs[1].id)] == ["wait"]
    assert chain.last.job().claims == 0


def passing(house: House, gate: Gate) -> Link[Gate, None]:
    return Link(gated, gate, engines=(house.engine,))
