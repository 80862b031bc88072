"""F40: a worker whose settings lack an engine shares a ledger with jobs that need that engine."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.stager import BATCH
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.deployments.deployment import Deployment
from tests.deployments.promises import assert_each_ran_once
from tests.faults.support import ON_SQLITE, adopt
from tests.jobs.scripted import Script, in_thread

NOW = timedelta(0)
WITHOUT_RQ = {"FAILSOFT_ENGINES": "dramatiq"}


@pytest.mark.fault("F40")
@ON_SQLITE
def test_a_worker_without_the_engine_leaves_its_jobs_to_one_that_has_it(
    deployment: Deployment,
) -> None:
    for n in range(BATCH + 1):
        record(deployment, f"pinned-{n}", plan=None)
    for n in range(BATCH + 1, BATCH + 4):
        record(deployment, f"pinned-{n}", plan=OfferPlan("rq", NOW))
    pinned = [deployment.app.ledger.get(handle.id) for handle in deployment.handles]

    other = deployment.worker("dramatiq", "threads", **WITHOUT_RQ)
    deployment.wait_for(other)
    ours = deployment.dispatch(in_thread, delay=timedelta(milliseconds=1), priority=-1)
    deployment.wait_for_ends(ours)

    assert deployment.effect_log.engines(ours.id) == ["dramatiq"]
    assert [deployment.app.ledger.get(job.id) for job in pinned] == pinned

    deployment.worker("rq", "threads")
    deployment.wait_for_ends()

    assert {tuple(deployment.effect_log.engines(job.id)) for job in pinned} == {("rq",)}
    assert {deployment.app.ledger.get(job.id).state for job in pinned} == {JobState.SUCCEEDED}
    assert_each_ran_once(deployment)


def record(deployment: Deployment, job_id: str, *, plan: OfferPlan | None) -> None:
    """Record a job for RQ as a program does that ends before it has offered it."""
    handle = deployment.app.dispatcher.dispatch(
        in_thread, Script(), job_id=job_id, engines=("rq",), delay=timedelta(hours=1)
    )
    database = deployment.app.ledger.database
    if plan is None:
        database.write(
            lambda c: c.exec_driver_sql(
                "UPDATE failsoft_jobs SET run_at = created_at WHERE id = ?", (handle.id,)
            )
        )
    else:
        assert deployment.app.ledger.offer(handle.job(), plan) is not None
    adopt(deployment, job_id)
