"""F40: a worker whose settings lack an engine shares a ledger with jobs that need that engine."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.stager import BATCH
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.deployments.deployment import Stage
from tests.deployments.promises import assert_each_ran_once
from tests.faults.support import ON_SQLITE, adopt
from tests.jobs.scripted import Act, in_thread

NOW = timedelta(0)
WITHOUT_RQ = {"FAILSOFT_ENGINES": "dramatiq"}


@pytest.mark.fault("F40")
@ON_SQLITE
def test_a_worker_without_the_engine_leaves_its_jobs_to_one_that_has_it(stage: Stage) -> None:
    for n in range(BATCH + 1):
        record(stage, f"pinned-{n}", plan=None)
    for n in range(BATCH + 1, BATCH + 4):
        record(stage, f"pinned-{n}", plan=OfferPlan("rq", NOW))
    pinned = [stage.app.ledger.get(handle.id) for handle in stage.handles]

    other = stage.worker("dramatiq", "threads", **WITHOUT_RQ)
    stage.wait_for(other)
    ours = stage.dispatch(in_thread, delay=timedelta(milliseconds=1), priority=-1)
    stage.wait_for_ends(ours)

    assert stage.witness.engines(ours.id) == ["dramatiq"]
    assert [stage.app.ledger.get(job.id) for job in pinned] == pinned

    stage.worker("rq", "threads")
    stage.wait_for_ends()

    assert {tuple(stage.witness.engines(job.id)) for job in pinned} == {("rq",)}
    assert {stage.app.ledger.get(job.id).state for job in pinned} == {JobState.SUCCEEDED}
    assert_each_ran_once(stage)


def record(stage: Stage, job_id: str, *, plan: OfferPlan | None) -> None:
    """Record a job for RQ as a program does that ends before it has offered it."""
    handle = stage.app.dispatcher.dispatch(
        in_thread, Act(), job_id=job_id, engines=("rq",), delay=timedelta(hours=1)
    )
    database = stage.app.ledger.database
    if plan is None:
        database.write(
            lambda c: c.exec_driver_sql(
                "UPDATE failsoft_jobs SET run_at = created_at WHERE id = ?", (handle.id,)
            )
        )
    else:
        assert stage.app.ledger.offer(handle.job(), plan) is not None
    adopt(stage, job_id)
