"""The same idempotency key is the same job, whoever dispatches it and however it ended."""

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import DuplicateDispatchError, IdempotencyConflictError
from tests.deployments.shared import House
from tests.features.jobs.control.failures import Trouble, failing
from tests.features.jobs.dispatching.dispatch_options import Note, echo


def test_a_used_key_leads_to_its_job_also_when_that_has_ended(house: House) -> None:
    key, note = house.unique("key"), Note(text="once")
    first = house.dispatch(echo, note, idempotency_key=key)
    assert first.result() == "once"

    again = house.dispatch(echo, note, idempotency_key=key)

    assert (again.id, again.disposition, again.result()) == (first.id, "existing", "once")
    with pytest.raises(DuplicateDispatchError):
        house.dispatch(echo, note, idempotency_key=key, on_duplicate="raise")
    with pytest.raises(IdempotencyConflictError):
        house.dispatch(echo, Note(text="other"), idempotency_key=key)


def test_a_dead_letter_is_tried_again_whatever_its_key(house: House) -> None:
    key, trouble = house.unique("key"), Trouble(failures=1, says="never")
    dead = house.dispatch(failing, trouble, idempotency_key=key)
    house.wait_for(dead, JobState.FAILED)

    retried = dead.retry()

    assert retried.id != dead.id
    house.wait_for(retried, JobState.FAILED)
    assert house.dispatch(failing, trouble, idempotency_key=key).id == dead.id
