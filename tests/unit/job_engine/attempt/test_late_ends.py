"""An end that waited for the ledger, and comes after a rescuer, is no crash of its job's (R18)."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from failsoft.job_engine import JobContext
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.outcome import crashed
from tests.unit.support.attempts import HOUR, AttemptRunner


class OutlivedLease(Lease):
    """A lease during whose first wait for the ledger something happens."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = [meanwhile]

    def excuse(self, since: float, until: float) -> None:
        super().excuse(since, until)
        while self._meanwhile:
            self._meanwhile.pop()()


def rescued(runner: AttemptRunner) -> None:
    """The ledger is back, and a rescuer beside it was faster than the owner."""
    runner.clock.advance(2 * HOUR)
    runner.ledger.up()
    runner.offer_again()
    assert runner.job.crashes == 1


@pytest.mark.parametrize("failures", [0, 3], ids=["answers", "falls silent once more"])
def test_the_owner_takes_the_crash_back(failures: int) -> None:
    runner = AttemptRunner(lambda ctx: runner.ledger.down())

    def meanwhile() -> None:
        rescued(runner)
        runner.events.then = fall_silent

    def fall_silent() -> None:
        del runner.events.then
        runner.ledger.fail_next(failures)

    assert runner.executor.run(runner.claim(), OutlivedLease(meanwhile)) is None

    assert runner.events.kinds[-2:] == ["job.fenced", "job.uncharge"]
    assert runner.job.crashes == 0


def test_a_job_that_let_its_lease_run_out_keeps_the_crash() -> None:
    def body(ctx: JobContext) -> None:
        rescued(runner)

    runner = AttemptRunner(body)

    assert runner.executor.run(runner.claim(), Lease()) is None

    assert runner.events.kinds[-1] == "job.fenced"
    assert runner.job.crashes == 1


def test_a_crash_that_waits_to_be_recorded_is_charged_once() -> None:
    runner = AttemptRunner(lambda ctx: None)
    claim = runner.claim()
    lease = OutlivedLease(lambda: rescued(runner))
    runner.ledger.down()

    end = crashed(claim, "killed by SIGKILL")
    assert runner.executor.conclude_dead(claim, end, lease, datetime.now(UTC)) is None

    assert runner.events.kinds[-1] == "job.fenced"
    assert runner.job.crashes == 1
