"""The promises, checked against the effect log and the ledger of a test that has ended."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.records.job import StepRecord
from tests.deployments.deployment import ENDS, Deployment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def assert_promises_kept(deployment: Deployment) -> None:
    """Nothing lost (I1), one authority (I2), one outcome (I4), finished steps finished (I5)."""
    for handle in deployment.handles:
        job = handle.job()
        assert job.state.is_terminal, f"job {job.id} is lost: {job}"
        assert_one_outcome(deployment, handle)
        assert_one_authority(deployment, handle)
        assert_finished_steps_stayed_finished(deployment, handle)
    assert deployment.effect_log.jobs() <= {handle.id for handle in deployment.handles}


def assert_each_ran_once(deployment: Deployment) -> None:
    """Every job succeeded, and the effect log saw each of its steps begin exactly once."""
    assert_promises_kept(deployment)
    for handle in deployment.handles:
        assert handle.job().state is JobState.SUCCEEDED
        expected = {f"step-{n}": 1 for n in range(1, handle.result() + 1)}
        assert deployment.effect_log.times_begun(handle.id) == expected


def assert_all_on(deployment: Deployment, engine: str) -> None:
    """Every attempt of every job was claimed and run on one engine."""
    for handle in deployment.handles:
        assert deployment.effect_log.engines(handle.id) == [engine]
        assert [each.engine for each in deployment.app.ledger.attempts(handle.id)] == [engine]


def assert_one_outcome(deployment: Deployment, handle: JobHandle[int]) -> None:
    ends = [kind for kind in deployment.kinds(handle) if kind in ENDS]
    assert len(ends) == 1, f"job {handle.id} ended more than once: {deployment.kinds(handle)}"


def assert_one_authority(deployment: Deployment, handle: JobHandle[int]) -> None:
    events = deployment.app.ledger.events(handle.id)
    claims = Counter(event.epoch for event in events if event.kind == "claim")
    assert set(claims.values()) <= {1}, f"an epoch of job {handle.id} was claimed twice: {claims}"
    epochs = [event.epoch for event in events]
    assert epochs == sorted(epochs), f"the epochs of job {handle.id} shrank: {epochs}"
    runs = {(line.attempt, line.pid) for line in deployment.effect_log.begun(handle.id)}
    assert len(runs) == len({attempt for attempt, _ in runs}), f"one attempt ran twice: {runs}"


def assert_finished_steps_stayed_finished(
    deployment: Deployment, handle: JobHandle[int], frozen: Collection[int] = ()
) -> None:
    """No step began after it was finished.

    One may in a process that stood still between the look at the ledger and the step's first
    line, and then only that one: the next look shows the attempt that it is over (R9, R10).
    """
    recorded = {step.name: _microseconds(step) for step in deployment.app.ledger.steps(handle.id)}
    late = [
        line
        for line in deployment.effect_log.begun(handle.id)
        if line.step in recorded and line.wall > recorded[line.step]
    ]
    assert {line.pid for line in late} <= {*frozen}, f"a finished step began again: {late}"
    attempts = [line.attempt for line in late]
    assert len(attempts) == len(set(attempts)), f"an attempt went on that was over: {late}"


def _microseconds(step: StepRecord) -> int:
    assert step.recorded_at is not None
    return (step.recorded_at - EPOCH) // timedelta(microseconds=1)
