"""Jobs that kill, crash or block what runs them; they fail, and their neighbours do not notice."""

from pathlib import Path
from typing import NamedTuple

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from tests.deployments.deployment import Deployment, ScriptedJob
from tests.deployments.promises import assert_promises_kept
from tests.jobs.scripted import (
    Misfortune,
    Script,
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

    job: ScriptedJob
    how: Misfortune
    neighbour: ScriptedJob


STUCK = (
    Stuck(brief_in_child, "stuck in C", in_child),
    Stuck(brief_in_thread, "stuck in Python", in_thread),
)


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
@pytest.mark.fault("F27")
def test_a_job_that_kills_its_process_fails_after_three_crashes_and_alone(
    deployment: Deployment, gate: Path, engine: str
) -> None:
    worker = deployment.worker(engine, "children", FAILSOFT_LEASE=LONG_LEASE)
    deployment.wait_for(worker)
    neighbour = deployment.dispatch(in_child, Script(halt_at=1, gate=str(gate)))
    doomed = [deployment.dispatch(in_child, Script(misfortune=how)) for how, _ in CRASHES]

    deployment.wait_for_ends(*doomed)
    gate.touch()
    deployment.wait_for_ends()

    for handle, (_, name) in zip(doomed, CRASHES, strict=True):
        assert_crash_loop(deployment, handle, name)
    assert_undisturbed(neighbour)
    assert worker.process.is_running
    assert_promises_kept(deployment)


@pytest.mark.parametrize("case", STUCK, ids=["process", "thread"])
def test_an_attempt_that_is_stuck_past_its_timeout_is_stopped_and_alone(
    deployment: Deployment, gate: Path, case: Stuck
) -> None:
    deployment.wait_for(deployment.worker("rq", case.job.queue.name))
    neighbour = deployment.dispatch(case.neighbour, Script(halt_at=1, gate=str(gate)))
    deployment.wait_for_step(neighbour, "step-1")

    handle = deployment.dispatch(case.job, Script(misfortune=case.how))
    deployment.wait_for_ends(handle)
    gate.touch()
    deployment.wait_for_ends()

    ended = handle.job()
    assert (ended.state, ended.errors, ended.crashes) == (JobState.FAILED, 1, 0)
    assert ended.error is not None
    assert "longer than its timeout of 0:00:01" in ended.error.message
    assert_undisturbed(neighbour)
    assert_promises_kept(deployment)


def assert_crash_loop(deployment: Deployment, handle: JobHandle[int], signal_name: str) -> None:
    ended = handle.job()
    assert (ended.state, ended.crashes, ended.errors) == (JobState.FAILED, 3, 0)
    assert ended.error is not None
    assert signal_name in ended.error.message
    assert deployment.app.ledger.events(handle.id)[-1].detail["reason"] == "crash loop"
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 3}


def assert_undisturbed(neighbour: JobHandle[int]) -> None:
    job = neighbour.job()
    assert (job.state, job.claims, job.crashes) == (JobState.SUCCEEDED, 1, 0)
