"""A job that was not begun in time is not begun any more."""

from datetime import UTC, datetime, timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import JobExpiredError
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, deserted, echo


def test_a_job_that_waits_too_long_expires(deployment: EngineDeployment) -> None:
    late = deployment.dispatch(deserted, Note(), expires_in=timedelta(milliseconds=300))
    in_time = deployment.dispatch(echo, Note(text="in time"), expires_in=timedelta(hours=1))

    deployment.wait_for(late, JobState.CANCELLED)

    with pytest.raises(JobExpiredError):
        late.result()
    assert deployment.kinds(late)[-1] == "expire"
    assert "claim" not in deployment.kinds(late)
    assert in_time.result() == "in time"


def test_a_job_expires_at_a_moment(deployment: EngineDeployment) -> None:
    moment = datetime.now(UTC) + timedelta(milliseconds=300)
    late = deployment.dispatch(deserted, Note(), expires_at=moment)
    in_time = deployment.dispatch(
        echo, Note(text="in time"), expires_at=moment + timedelta(hours=1)
    )

    expired = deployment.wait_for(late, JobState.CANCELLED)

    assert expired.expires_at == moment
    assert expired.finished_at is not None
    assert expired.finished_at >= moment
    assert deployment.kinds(late)[-1] == "expire"
    assert expired.claims == 0
    assert in_time.result() == "in time"
