"""Chains and groups run in their order, on either engine, and complete once."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from failsoft.job_engine import JobState, Link
from failsoft.job_engine.errors import JobCancelledError, JobFailedError
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.cancel import Gate, gated
from tests.features.jobs.dispatching.dispatch_options import Note, deserted
from tests.features.jobs.timing.flow import FlowNumber, flow_double, flow_gather
from tests.servers.processes import PATIENCE, wait_until

LONG = timedelta(seconds=PATIENCE)


def number(deployment: EngineDeployment, value: int) -> Link[FlowNumber, int]:
    return Link(flow_double, FlowNumber(number=value), engines=(deployment.engine,))


def doubled(deployment: EngineDeployment) -> Link[FlowNumber, int]:
    payload = FlowNumber()
    return Link(flow_double, payload, result_field="number", engines=(deployment.engine,))


def test_a_chain_runs_in_order_and_passes_results_on(deployment: EngineDeployment) -> None:
    chain = deployment.dispatcher.dispatch_chain(
        number(deployment, 3), doubled(deployment), doubled(deployment)
    )

    assert chain.result(LONG) == 24
    jobs = [each.job() for each in chain.jobs]
    assert {each.engine for each in jobs} == {deployment.engine}
    for before, after in pairwise(jobs):
        assert before.finished_at is not None
        assert after.started_at is not None
        assert before.finished_at <= after.started_at
    assert [each.claims for each in jobs] == [1, 1, 1]


def test_what_comes_after_a_failure_is_cancelled(deployment: EngineDeployment) -> None:
    chain = deployment.dispatcher.dispatch_chain(
        number(deployment, -1), doubled(deployment), doubled(deployment)
    )

    with pytest.raises(JobFailedError, match="below zero"):
        chain.result(LONG)

    states = [each.status() for each in chain.jobs]
    assert states == [JobState.FAILED, JobState.CANCELLED, JobState.CANCELLED]
    reason = deployment.ledger.events(chain.jobs[1].id)[-1].detail["reason"]
    assert reason == f"job {chain.jobs[0].id}, which it waited for, failed"


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_chain_begins_after_a_job_that_was_dispatched_before(
    deployment: EngineDeployment, tmp_path: Path, *, has_ended: bool
) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    before = deployment.dispatcher.dispatch(gated, gate, engines=(deployment.engine,))
    if has_ended:
        gate.opened.touch()
        before.result(LONG)

    chain = deployment.dispatcher.dispatch_chain(
        number(deployment, 3), doubled(deployment), after=before
    )
    if not has_ended:
        assert chain.jobs[0].status() is JobState.SCHEDULED
        gate.opened.touch()

    assert chain.result(LONG) == 12
    first, ended = chain.jobs[0].job(), before.job()
    assert ended.finished_at is not None
    assert first.started_at is not None
    assert ended.finished_at <= first.started_at


def test_a_group_completes_once_when_all_have_ended(deployment: EngineDeployment) -> None:
    links = [number(deployment, value) for value in (1, 2, -1, 4, 5, 6)]

    group = deployment.dispatcher.dispatch_group(links, flow_gather)

    over = group.wait(LONG)
    assert (over.succeeded, over.failed, over.cancelled) == (5, 1, 0)
    assert group.completion is not None
    assert group.completion.result(LONG) == [6, 5, 1]
    completion = group.completion.job()
    ends = [deployment.ledger.get(each).finished_at for each in group.job_ids]
    assert completion.started_at is not None
    assert all(end is not None and end <= completion.started_at for end in ends)
    assert completion.claims == 1


def test_a_group_needs_no_completion(deployment: EngineDeployment) -> None:
    group = deployment.dispatcher.dispatch_group([number(deployment, 1), number(deployment, -1)])

    over = group.wait(LONG)

    assert group.completion is None
    assert (over.total, over.succeeded, over.failed, over.cancelled) == (2, 1, 1, 0)
    states = [deployment.ledger.get(each).state for each in group.job_ids]
    assert states == [JobState.SUCCEEDED, JobState.FAILED]


def test_a_completion_for_success_starts_only_when_all_have_succeeded(
    deployment: EngineDeployment,
) -> None:
    good, bad = (
        deployment.dispatcher.dispatch_group(
            [number(deployment, 1), number(deployment, last)], flow_gather, when="all_succeeded"
        )
        for last in (2, -1)
    )

    assert good.completion is not None
    assert bad.completion is not None
    assert good.completion.result(LONG) == [2, 2, 0]
    deployment.wait_for(bad.completion, JobState.CANCELLED)
    assert bad.completion.job().claims == 0
    reason = deployment.ledger.events(bad.completion.id)[-1].detail["reason"]
    assert reason == "1 of 2 jobs of the group did not succeed"


def test_cancelling_a_group_cancels_its_jobs_and_its_completion(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    waits: Link[Note, str] = Link(deserted, Note(), engines=(deployment.engine,))
    group = deployment.dispatcher.dispatch_group([passing(deployment, gate), waits], flow_gather)
    wait_until(gate.entered.exists, PATIENCE, "a job of the group runs")

    group.cancel()
    gate.opened.touch()

    over = group.wait(LONG)
    assert (over.succeeded, over.failed, over.cancelled) == (0, 0, 2)
    assert group.completion is not None
    assert group.completion.status() is JobState.CANCELLED
    assert group.completion.job().claims == 0


def test_cancelling_a_chain_cancels_what_has_not_ended(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    gate = Gate(entered=tmp_path / "entered", opened=tmp_path / "opened")
    chain = deployment.dispatcher.dispatch_chain(
        number(deployment, 1), passing(deployment, gate), number(deployment, 2)
    )
    wait_until(gate.entered.exists, PATIENCE, "the second job runs")

    chain.cancel()
    gate.opened.touch()

    with pytest.raises(JobCancelledError):
        chain.result(LONG)
    ended = [JobState.SUCCEEDED, JobState.CANCELLED, JobState.CANCELLED]
    assert [each.status() for each in chain.jobs] == ended
    assert [step.name for step in deployment.ledger.steps(chain.jobs[1].id)] == ["wait"]
    assert chain.last.job().claims == 0


def passing(deployment: EngineDeployment, gate: Gate) -> Link[Gate, None]:
    return Link(gated, gate, engines=(deployment.engine,))
