"""When a job begins, and how long an attempt may take."""

from datetime import UTC, datetime, timedelta

from failsoft.job_engine import JobState
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, echo
from tests.features.jobs.timing.timeouts import Alarm, Nap, napping, until_the_alarm

SOON = timedelta(milliseconds=400)


def test_a_job_begins_when_its_time_has_come(deployment: EngineDeployment) -> None:
    run_at = datetime.now(UTC) + SOON

    handles = [
        deployment.dispatch(echo, Note(text="delayed"), delay=SOON),
        deployment.dispatch(echo, Note(text="at a moment"), run_at=run_at),
        deployment.dispatch(echo, Note(text="overdue"), run_at=run_at - timedelta(days=1)),
    ]

    assert [handle.dispatched.state for handle in handles] == [JobState.SCHEDULED] * 3
    assert [handle.result() for handle in handles] == ["delayed", "at a moment", "overdue"]
    for handle in handles[:2]:
        job = handle.job()
        assert job.started_at is not None
        assert job.started_at >= run_at


def test_a_job_sleeps_and_holds_no_worker(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(napping, Nap(span=SOON))

    assert handle.result() == [2, True]
    assert deployment.kinds(handle).count("suspend") == 1
    assert handle.job().errors == 0


def test_a_job_sleeps_until_a_moment_and_wakes_at_once_if_that_has_passed(
    deployment: EngineDeployment,
) -> None:
    moment = datetime.now(UTC) + SOON
    handle = deployment.dispatch(until_the_alarm, Alarm(moment=moment))
    passed = deployment.dispatch(until_the_alarm, Alarm(moment=moment - timedelta(days=1)))

    assert handle.result() == passed.result() == [2, True]
    assert deployment.kinds(handle).count("suspend") == 1
    assert deployment.ledger.attempts(handle.id)[1].started_at >= moment


def test_an_attempt_that_takes_too_long_is_an_error_like_any_other(
    deployment: EngineDeployment,
) -> None:
    handle = deployment.dispatch(napping, Nap(span=timedelta(0), dawdles=True))

    failed = deployment.wait_for(handle, JobState.FAILED)

    assert failed.error is not None
    assert failed.error.type.endswith("AttemptTimeoutError")
    assert (failed.errors, failed.crashes) == (1, 0)
