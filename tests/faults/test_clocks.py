"""F24: the wall clocks of the workers are an hour fast and an hour slow.

Not by libfaketime, which is not everywhere: a `sitecustomize` moves `time.time` and
`time.time_ns`, the only wall clock that decides anything, in every process of a worker.
"""

from pathlib import Path

import pytest

from tests.faults.support import let_pass
from tests.integration.acceptance.evidence import assert_one_authority, assert_one_outcome
from tests.integration.acceptance.jobs_under_test import Act, in_thread
from tests.integration.acceptance.stage import PATIENCE, ROOT, SHORT_LEASE, Stage, Worker
from tests.servers.processes import wait_until

HOUR = 3600
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
    stage: Stage, tmp_path: Path, gate: Path, rq_is: int
) -> None:
    skewed_worker(stage, tmp_path, "rq", rq_is, **SHORT_LEASE)
    skewed_worker(stage, tmp_path, "dramatiq", -rq_is, **SHORT_LEASE)

    act = Act(steps=2, halt_at=1, gate=str(gate))
    long = [stage.dispatch(in_thread, act, engines=(name,)) for name in ("rq", "dramatiq")]
    for handle in long:
        stage.wait_for_step(handle, "step-1")
    let_pass(A_LEASE_AND_MORE)
    stage.dispatch_many(4, in_thread)
    gate.touch()
    stage.wait_for_ends()

    assert [handle.job().claims for handle in long] == [1, 1]
    assert {each.job().crashes for each in stage.handles} == {0}
    for handle in stage.handles:
        assert_one_outcome(stage, handle)
        assert_one_authority(stage, handle)
        assert set(stage.witness.times_begun(handle.id).values()) == {1}


def skewed_worker(stage: Stage, folder: Path, engine: str, by: int, **settings: str) -> Worker:
    """Start a worker whose wall clock goes wrong by so many seconds."""
    site = folder / f"skew-{engine}"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SKEW.format(by))
    worker = stage.worker(engine, "threads", PYTHONPATH=f"{site}:{ROOT}", **settings)
    wait_until(lambda: worker.told("worker.start"), PATIENCE, "the worker has started")
    return worker
