"""A load on one engine whose broker fails over, and a worker that is lost meanwhile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster.outcome import assert_kept
from tests.deployments.deployment import PATIENCE, Deployment
from tests.faults.dispatch_load import charged, under_load
from tests.jobs.scripted import Script, in_thread

QUEUE = "threads"


def assert_goes_on(
    deployment: Deployment,
    engine: str,
    *,
    gate: Path,
    befall: Callable[[], Any],
    heal: Callable[[], Any],
    is_served: bool = True,
) -> None:
    """Break a broker under load, lose a worker half-way through a job, heal; nothing is lost.

    Args:
        deployment: Without a worker yet.
        engine: Its one engine.
        gate: What the job waits for that is cut off.
        befall: Breaks the broker.
        heal: Makes it whole again.
        is_served: Whether a majority of the broker is left, which must go on by itself.
    """
    first = deployment.worker(engine, QUEUE)
    deployment.wait_for(first)
    script = Script(steps=3, halt_at=2, gate=str(gate))
    cut_off = deployment.dispatch(in_thread, script)
    deployment.wait_for_step(cut_off, "step-2")

    with under_load(deployment) as load:
        befall()
        first.process.kill()
        deployment.worker(engine, QUEUE)
        load.goes_on()
        if is_served:
            deployment.wait_for_ends(load.accepted[-1][1], cut_off, deadline=3 * PATIENCE)
        heal()
    deployment.wait_for_ends(deadline=3 * PATIENCE)

    assert load.refused == [], "the ledger was there all the while"
    assert {errors for errors, _ in charged(deployment).values()} <= {0}
    assert deployment.effect_log.times_begun(cut_off.id) == {"step-1": 1, "step-2": 2, "step-3": 1}
    assert_kept(deployment)
