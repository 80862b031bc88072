"""F24 and F46: clocks are an hour fast and an hour slow, and jump ahead and back.

Not by libfaketime, which is not everywhere: a `sitecustomize` moves `time.time` and
`time.time_ns`, the only wall clock that decides anything, in every process of a worker.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.dispatcher import JobHandle
from tests.chaos.system.skew import Skew, build_library
from tests.deployments.deployment import PATIENCE, ROOT, SHORT_LEASE, Deployment, Worker
from tests.deployments.promises import assert_one_authority, assert_one_outcome
from tests.faults.support import ON_POSTGRESQL, ON_SQLITE, let_pass
from tests.jobs.scripted import Script, in_thread
from tests.servers.postgresql.database_clock import DatabaseClock
from tests.servers.processes import wait_until

HOUR = 3600
DAY = timedelta(days=1)
#: Longer than `SHORT_LEASE`, in seconds.
A_LEASE_AND_MORE = 3

SKEW = """
import time

def _moved(clock, by):
    return lambda: clock() + by

time.time, time.time_ns = _moved(time.time, {0}), _moved(time.time_ns, {0} * 10**9)
"""


@pytest.mark.fault("F24")
@pytest.mark.parametrize(
    ("ledger_url", "rq_is"),
    [
        ("postgresql", HOUR),
        pytest.param("sqlite", HOUR, marks=pytest.mark.long),
        pytest.param("sqlite", -HOUR, marks=pytest.mark.long),
    ],
    indirect=["ledger_url"],
)
def test_clocks_that_are_hours_apart_take_no_job_from_who_works_on_it(
    deployment: Deployment, tmp_path: Path, gate: Path, rq_is: int
) -> None:
    skewed_worker(deployment, tmp_path, "rq", rq_is, **SHORT_LEASE)
    skewed_worker(deployment, tmp_path, "dramatiq", -rq_is, **SHORT_LEASE)

    script = Script(steps=2, halt_at=1, gate=str(gate))
    long = [deployment.dispatch(in_thread, script, engines=(name,)) for name in ("rq", "dramatiq")]
    for handle in long:
        deployment.wait_for_step(handle, "step-1")
    let_pass(A_LEASE_AND_MORE)
    deployment.dispatch_many(4, in_thread)
    gate.touch()
    deployment.wait_for_ends()

    assert [handle.job().claims for handle in long] == [1, 1]
    assert {each.job().crashes for each in deployment.handles} == {0}
    for handle in deployment.handles:
        assert_one_outcome(deployment, handle)
        assert_one_authority(deployment, handle)
        assert set(deployment.effect_log.times_begun(handle.id).values()) == {1}


@pytest.mark.fault("F24", "F46")
@ON_POSTGRESQL
@pytest.mark.parametrize(
    "jump", [pytest.param(DAY, id="ahead"), pytest.param(-DAY, id="back", marks=pytest.mark.long)]
)
def test_a_ledger_whose_clock_was_set_for_a_while_delays_no_job(
    deployment: Deployment, gate: Path, jump: timedelta
) -> None:
    clock = DatabaseClock(deployment.app.ledger.database)
    rq, _ = deployment.workers("threads", **SHORT_LEASE)

    clock.advance(jump)
    handles = lose_a_worker(deployment, rq, gate)
    clock.reset()

    expect_no_delay(deployment, gate, handles)


@pytest.mark.fault("F24", "F46")
@ON_SQLITE
@pytest.mark.parametrize("jump", [DAY, pytest.param(-DAY, marks=pytest.mark.long)])
def test_a_host_whose_clock_was_set_for_a_while_delays_no_job(
    deployment: Deployment, tmp_path: Path, gate: Path, jump: timedelta
) -> None:
    library = build_library(tmp_path)
    if library is None:
        pytest.skip("expected a C compiler for Linux")
    skew = Skew(tmp_path / "skew", library)
    settings: Mapping[str, str] = {**skew.environment, **SHORT_LEASE, "PYTHONPATH": str(ROOT)}
    rq, other = (deployment.worker(name, "threads", **settings) for name in ("rq", "dramatiq"))
    deployment.wait_for(rq, other)

    def jumps(held: JobHandle[int]) -> None:
        # Not before the claim: an offer that a right clock made is overdue at once by this one.
        skew.set(jump // timedelta(seconds=1))
        renewals = held.job().revision + 2
        wait_until(lambda: held.job().revision >= renewals, PATIENCE, "the lease is renewed by it")

    handles = lose_a_worker(deployment, rq, gate, jumps)
    skew.set(0)

    expect_no_delay(deployment, gate, handles)


def lose_a_worker(
    deployment: Deployment,
    rq: Worker,
    gate: Path,
    before: Callable[[JobHandle[int]], None] = lambda held: None,
) -> tuple[JobHandle[int], ...]:
    """Let a worker hold a job by the clock as it is now, and die; have another job wait."""
    script = Script(steps=2, halt_at=1, gate=str(gate))
    lost = deployment.dispatch(in_thread, script, engines=("rq", "dramatiq"))
    deployment.wait_for_step(lost, "step-1")
    before(lost)
    delayed = deployment.dispatch(in_thread, delay=timedelta(seconds=1))
    rq.process.kill()
    return lost, delayed


def expect_no_delay(
    deployment: Deployment, gate: Path, handles: tuple[JobHandle[int], ...]
) -> None:
    """Expect that all jobs end soon, where a day was to pass before."""
    gate.touch()
    deployment.wait_for_ends()

    lost, delayed = handles
    assert (lost.job().claims, lost.job().crashes) == (2, 1)
    assert delayed.job().claims == 1
    for handle in handles:
        assert_one_outcome(deployment, handle)
        assert_one_authority(deployment, handle)


def skewed_worker(
    deployment: Deployment, folder: Path, engine: str, by: int, **settings: str
) -> Worker:
    """Start a worker whose wall clock goes wrong by so many seconds."""
    site = folder / f"skew-{engine}"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SKEW.format(by))
    worker = deployment.worker(engine, "threads", PYTHONPATH=f"{site}:{ROOT}", **settings)
    wait_until(lambda: worker.logged("worker.start"), PATIENCE, "the worker has started")
    return worker
