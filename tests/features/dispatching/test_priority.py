"""Of jobs that are due together, the one with the highest priority is offered first."""

from datetime import UTC, datetime, timedelta

from tests.deployments.shared import EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, echo

SOON = timedelta(seconds=1)


def test_the_higher_number_goes_first_on_either_engine(deployment: EngineDeployment) -> None:
    run_at = datetime.now(UTC) + SOON
    priorities = [0, 100, -100, 50, -50]
    handles = {
        priority: deployment.dispatch(
            echo, Note(text=str(priority)), priority=priority, run_at=run_at
        )
        for priority in priorities
    }

    results = {priority: handle.result() for priority, handle in handles.items()}

    assert results == {priority: str(priority) for priority in priorities}
    offered = {
        priority: next(e.at for e in deployment.ledger.events(handle.id) if e.kind == "offer")
        for priority, handle in handles.items()
    }
    assert sorted(offered, key=lambda priority: offered[priority]) == [100, 50, 0, -50, -100]
