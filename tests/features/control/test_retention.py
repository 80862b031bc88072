"""`prune_ledger` deletes what `keep_succeeded` and `keep_failed` do not keep, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobDefinition, JobState
from failsoft.job_engine.jobs.scheduled.prune_ledger import PruneReport, Pruning, prune_ledger
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.retention import Leaf, dust, leaf
from tests.features.queues import QUEUE

#: The worker runs the job that ships; only the queue is one that a worker serves.
PRUNE = replace(prune_ledger, queue=QUEUE)


def ended(
    deployment: EngineDeployment, job: JobDefinition[Leaf, None], *rotten: bool
) -> list[JobHandle[None]]:
    """Run jobs one after another, so that it is known which of them are the newest."""
    handles = []
    for each in rotten:
        handles.append(deployment.dispatch(job, Leaf(rotten=each)))
        deployment.wait_for(handles[-1], JobState.FAILED if each else JobState.SUCCEEDED)
    return handles


def are_there(deployment: EngineDeployment, handles: Sequence[JobHandle[None]]) -> list[bool]:
    return [not handle.pending for handle in handles]


def prune(deployment: EngineDeployment) -> PruneReport:
    report: PruneReport = deployment.dispatch(PRUNE, Pruning()).result()
    return report


def test_the_newest_are_kept_of_each_ending_as_its_definition_says(
    deployment: EngineDeployment,
) -> None:
    succeeded = ended(deployment, leaf, False, False, False)
    failed = ended(deployment, leaf, True, True, True, True)

    report = prune(deployment)

    assert are_there(deployment, succeeded) == [False, False, True]
    assert are_there(deployment, failed) == [False, False, True, True]
    # More than ours, where another engine's test has left some in this ledger.
    assert report.succeeded[leaf.name] >= 2
    assert report.failed[leaf.name] >= 2
    for gone in (succeeded[0], failed[0]):
        assert not deployment.ledger.attempts(gone.id)


def test_failed_and_succeeded_jobs_are_kept_for_different_times(
    deployment: EngineDeployment,
) -> None:
    succeeded, failed = ended(deployment, dust, False), ended(deployment, dust, True, True)

    report = prune(deployment)

    assert are_there(deployment, succeeded + failed) == [True, False, False]
    assert report.failed[dust.name] == 2
    assert dust.name not in report.succeeded
