"""A job that was not begun is replaced by the next dispatch of its key."""

from datetime import timedelta

from tests.deployments.shared import EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, echo

HOUR = timedelta(hours=1)


def test_the_last_dispatch_wins_until_the_job_has_begun(deployment: EngineDeployment) -> None:
    key = deployment.unique("replaced")
    first = deployment.dispatch(echo, Note(text="first"), idempotency_key=key, delay=HOUR)

    second = deployment.dispatch(
        echo, Note(text="second"), idempotency_key=key, on_duplicate="replace"
    )

    assert (second.id, second.disposition) == (first.id, "replaced")
    assert first.result() == "second"
    assert deployment.ledger.get(first.id).engine == deployment.engine
    third = deployment.dispatch(
        echo, Note(text="third"), idempotency_key=key, on_duplicate="replace"
    )
    assert (third.disposition, third.result()) == ("existing", "second")
