"""Many jobs dispatched at once run like any other, on either engine."""

from datetime import timedelta

from failsoft.dispatcher import DispatchRequest, Many
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, echo


def test_many_jobs_run_and_each_has_its_own_outcome(deployment: EngineDeployment) -> None:
    notes = [Note(text=str(number)) for number in range(12)]
    wrong = DispatchRequest(Note(), {"priority": 1000})

    # No process offers one again in that time: a message that its worker refuses would be seen.
    outcomes = deployment.dispatcher.dispatch_many(
        echo,
        [*notes, wrong],
        how=Many(chunk=5),
        engines=(deployment.engine,),
        pickup=timedelta(minutes=5),
    )

    assert outcomes[-1].error is not None
    handles = [outcome.handle for outcome in outcomes if outcome.handle]
    assert [handle.result() for handle in handles] == [note.text for note in notes]
    assert {handle.job().engine for handle in handles} == {deployment.engine}
    assert {handle.job().epoch for handle in handles} == {1}
