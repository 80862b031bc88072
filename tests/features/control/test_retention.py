"""`prune_ledger` deletes what `keep_succeeded` and `keep_failed` do not keep, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobDefinition, JobState
from failsoft.job_engine.jobs.scheduled.prune_ledger import PruneReport, Pruning, prune_ledger
from tests.deployments.shared import House
from tests.features.jobs.control.retention import Leaf, dust, leaf
from tests.features.queues import LANE

#: The worker runs the job that ships; only the queue is one that somebody serves.
PRUNE = replace(prune_ledger, queue=LANE)


def ended(house: House, job: JobDefinition[Leaf, None], *rotten: bool) -> list[JobHandle[None]]:
    """Run jobs one after another, so that it is known which of them are the newest."""
    handles = []
    for each in rotten:
        handles.append(house.dispatch(job, Leaf(rotten=each)))
        house.wait_for(handles[-1], JobState.FAILED if each else JobState.SUCCEEDED)
    return handles


def are_there(house: House, handles: Sequence[JobHandle[None]]) -> list[bool]:
    return [not handle.pending for handle in handles]


def prune(house: House) -> PruneReport:
    report: PruneReport = house.dispatch(PRUNE, Pruning()).result()
    return report


def test_the_newest_are_kept_of_each_ending_as_its_definition_says(house: House) -> None:
    succeeded = ended(house, leaf, False, False, False)
    failed = ended(house, leaf, True, True, True, True)

    report = prune(house)

    assert are_there(house, succeeded) == [False, False, True]
    assert are_there(house, failed) == [False, False, True, True]
    # More than ours, where another engine's test has left some in this ledger.
    assert report.succeeded[leaf.name] >= 2
    assert report.failed[leaf.name] >= 2
    for gone in (succeeded[0], failed[0]):
        assert not house.ledger.attempts(gone.id)


def test_failed_and_succeeded_jobs_are_kept_for_different_times(house: House) -> None:
    succeeded, failed = ended(house, dust, False), ended(house, dust, True, True)

    report = prune(house)

    assert are_there(house, succeeded + failed) == [True, False, False]
    assert report.failed[dust.name] == 2
    assert dust.name not in report.succeeded
