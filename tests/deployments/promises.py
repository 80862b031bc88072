"""The promises, checked against the witness and the ledger of a test that has ended."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.records.job import StepRecord
from tests.deployments.deployment import ENDS, Stage

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def assert_promises_kept(stage: Stage) -> None:
    """Nothing lost (I1), one authority (I2), one outcome (I4), finished steps finished (I5)."""
    for handle in stage.handles:
        job = handle.job()
        assert job.state.is_terminal, f"job {job.id} is lost: {job}"
        assert_one_outcome(stage, handle)
        assert_one_authority(stage, handle)
        assert_finished_steps_stayed_finished(stage, handle)
    assert stage.witness.jobs() <= {handle.id for handle in stage.handles}


def assert_each_ran_once(stage: Stage) -> None:
    """Every job succeeded, and the witness saw each of its steps begin exactly once."""
    assert_promises_kept(stage)
    for handle in stage.handles:
        assert handle.job().state is JobState.SUCCEEDED
        expected = {f"step-{n}": 1 for n in range(1, handle.result() + 1)}
        assert stage.witness.times_begun(handle.id) == expected


def assert_all_on(stage: Stage, engine: str) -> None:
    """Every attempt of every job was claimed and run on one engine."""
    for handle in stage.handles:
        assert stage.witness.engines(handle.id) == [engine]
        assert [each.engine for each in stage.app.ledger.attempts(handle.id)] == [engine]


def assert_one_outcome(stage: Stage, handle: JobHandle[int]) -> None:
    ends = [kind for kind in stage.kinds(handle) if kind in ENDS]
    assert len(ends) == 1, f"job {handle.id} ended more than once: {stage.kinds(handle)}"


def assert_one_authority(stage: Stage, handle: JobHandle[int]) -> None:
    events = stage.app.ledger.events(handle.id)
    claims = Counter(event.epoch for event in events if event.kind == "claim")
    assert set(claims.values()) <= {1}, f"an epoch of job {handle.id} was claimed twice: {claims}"
    epochs = [event.epoch for event in events]
    assert epochs == sorted(epochs), f"the epochs of job {handle.id} shrank: {epochs}"
    runs = {(line.attempt, line.pid) for line in stage.witness.begun(handle.id)}
    assert len(runs) == len({attempt for attempt, _ in runs}), f"one attempt ran twice: {runs}"


def assert_finished_steps_stayed_finished(
    stage: Stage, handle: JobHandle[int], frozen: Collection[int] = ()
) -> None:
    """No step began after it was finished.

    One may in a process that stood still between the look at the ledger and the step's first
    line, and then only that one: the next look tells the attempt that it is over (R9, R10).
    """
    recorded = {step.name: _microseconds(step) for step in stage.app.ledger.steps(handle.id)}
    late = [
        line
        for line in stage.witness.begun(handle.id)
        if line.step in recorded and line.at > recorded[line.step]
    ]
    assert {line.pid for line in late} <= {*frozen}, f"a finished step began again: {late}"
    attempts = [line.attempt for line in late]
    assert len(attempts) == len(set(attempts)), f"an attempt went on that was over: {late}"


def _microseconds(step: StepRecord) -> int:
    assert step.recorded_at is not None
    return (step.recorded_at - EPOCH) // timedelta(microseconds=1)
