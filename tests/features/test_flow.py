"""Chains and groups run in their order, on either engine, and complete once."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.features.house import PATIENCE, House
from tests.features.jobs.flow import FlowNumber, flow_double, flow_gather
from understudy.job_engine import JobState, Link
from understudy.job_engine.errors import JobFailedError

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
