"""The same idempotency key is the same job, in whichever process and however it ended."""

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import DuplicateDispatchError, IdempotencyConflictError
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.control.failures import Trouble, failing
from tests.features.jobs.dispatching.dispatch_options import Note, echo


def test_a_used_key_leads_to_its_job_also_when_that_has_ended(deployment: EngineDeployment) -> None:
    key, note = deployment.unique("key"), Note(text="once")
    first = deployment.dispatch(echo, note, idempotency_key=key)
    assert first.result() == "once"

    again = deployment.dispatch(echo, note, idempotency_key=key)

    assert (again.id, again.disposition, again.result()) == (first.id, "existing", "once")
    with pytest.raises(DuplicateDispatchError):
        deployment.dispatch(echo, note, idempotency_key=key, on_duplicate="raise")
    with pytest.raises(IdempotencyConflictError):
        deployment.dispatch(echo, Note(text="other"), idempotency_key=key)


def test_a_dead_letter_is_tried_again_whatever_its_key(deployment: EngineDeployment) -> None:
    key, trouble = deployment.unique("key"), Trouble(failures=1, says="never")
    dead = deployment.dispatch(failing, trouble, idempotency_key=key)
    deployment.wait_for(dead, JobState.FAILED)

    retried = dead.retry()

    assert retried.id != dead.id
    deployment.wait_for(retried, JobState.FAILED)
    assert deployment.dispatch(failing, trouble, idempotency_key=key).id == dead.id
