"""Jobs that kill, crash or block what runs them; they fail, and their neighbours do not notice."""

from pathlib import Path
from typing import NamedTuple

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from tests.deployments.deployment import Play, Stage
from tests.deployments.promises import assert_promises_kept
from tests.jobs.scripted import (
    Act,
    Misfortune,
    brief_in_child,
    brief_in_thread,
    in_child,
    in_thread,
)

CRASHES = ("sigkill", "SIGKILL"), ("segfault", "SIGSEGV")
#: A crash that is known sooner than this was not noticed by its lease.
LONG_LEASE = "60s"


class Stuck(NamedTuple):
    """A job of a second at the most, what it is stuck in, and a job beside it."""

    job: Play
    how: Misfortune
    neighbour: Play


STUCK = (
    Stuck(brief_in_child, "stuck in C", in_child),
    Stuck(brief_in_thread, "stuck in Python", in_thread),
)


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
@pytest.mark.fault("F27")
def test_a_job_that_kills_its_process_fails_after_three_crashes_and_alone(
    stage: Stage, gate: Path, engine: str
) -> None:
    worker = stage.worker(engine, "children", FAILSOFT_LEASE=LONG_LEASE)
    stage.wait_for(worker)
    neighbour = stage.dispatch(in_child, Act(halt_at=1, gate=str(gate)))
    doomed = [stage.dispatch(in_child, Act(misfortune=how)) for how, _ in CRASHES]

    stage.wait_for_ends(*doomed)
    gate.touch()
    stage.wait_for_ends()

    for handle, (_, name) in zip(doomed, CRASHES, strict=True):
        assert_crash_loop(stage, handle, name)
    assert_undisturbed(neighbour)
    assert worker.process.is_running
    assert_promises_kept(stage)


@pytest.mark.parametrize("case", STUCK, ids=["process", "thread"])
def test_an_attempt_that_is_stuck_past_its_timeout_is_stopped_and_alone(
    stage: Stage, gate: Path, case: Stuck
) -> None:
    stage.wait_for(stage.worker("rq", case.job.queue.name))
    neighbour = stage.dispatch(case.neighbour, Act(halt_at=1, gate=str(gate)))
    stage.wait_for_step(neighbour, "step-1")

    handle = stage.dispatch(case.job, Act(misfortune=case.how))
    stage.wait_for_ends(handle)
    gate.touch()
    stage.wait_for_ends()

    ended = handle.job()
    assert (ended.state, ended.errors, ended.crashes) == (JobState.FAILED, 1, 0)
    assert ended.error is not None
    assert "longer than its timeout of 0:00:01" in ended.error.message
    assert_undisturbed(neighbour)
    assert_promises_kept(stage)


def assert_crash_loop(stage: Stage, handle: JobHandle[int], signal_name: str) -> None:
    ended = handle.job()
    assert (ended.state, ended.crashes, ended.errors) == (JobState.FAILED, 3, 0)
    assert ended.error is not None
    assert signal_name in ended.error.message
    assert stage.app.ledger.events(handle.id)[-1].detail["reason"] == "crash loop"
    assert stage.witness.times_begun(handle.id) == {"step-1": 3}


def assert_undisturbed(neighbour: JobHandle[int]) -> None:
    job = neighbour.job()
    assert (job.state, job.claims, job.crashes) == (JobState.SUCCEEDED, 1, 0)
