"""The ledger's trouble is never the job's: it waits, or its job is given back."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import Catalogue, Executor, JobContext, JobState
from failsoft.job_engine.attempt.interrupts import CutOff, Fenced
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.retrying_ledger import PAUSE_SECONDS, RetryingLedger
from failsoft.job_engine.errors import (
    JobNotFoundError,
    LedgerError,
    LedgerSchemaError,
    LedgerUnavailableError,
)
from failsoft.job_engine.outcome import MAX_REFUSALS
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.job_engine.records.states import SUCCEED
from tests.unit.support.async_attempts import AsyncAttemptRunner
from tests.unit.support.attempts import AttemptRunner, define


def refused_once(runner: AttemptRunner, *, swallow: bool) -> Callable[[JobContext], str]:
    def body(ctx: JobContext) -> str:
        runner.ledger.refuse_next()
        if not swallow:
            return ctx.run("step", lambda: "done")
        with suppress(Exception):
            return ctx.run("step", lambda: "done")
        return "went on"

    return body


@pytest.mark.parametrize("swallow", [False, True], ids=["raises", "swallows"])
def test_what_the_ledger_refuses_is_no_error_and_gives_the_job_back(*, swallow: bool) -> None:
    runner = AttemptRunner()

    state = runner.run(refused_once(runner, swallow=swallow))

    job = runner.job
    assert (state, job.errors, job.crashes, job.releases) == (JobState.SCHEDULED, 0, 0, 1)
    assert job.error is None
    released = runner.ledger.events(runner.job_id)[-1]
    assert released.kind == "release"
    assert released.detail["reason"].startswith("ledger refused: the ledger's database refused")


def test_a_refusal_is_reported_with_its_traceback() -> None:
    runner = AttemptRunner()

    runner.run(refused_once(runner, swallow=False))

    reported = next(event for event in runner.events if event.kind == "job.refused")
    assert reported.detail["times"] == 1
    assert reported.error is not None
    assert "LedgerError" in reported.error.traceback


def test_a_job_that_is_refused_again_and_again_waits_longer_and_is_held_at_last() -> None:
    runner, pauses = AttemptRunner(), []
    states = []
    for _ in range(MAX_REFUSALS):
        states.append(runner.run(refused_once(runner, swallow=False)))
        if runner.job.run_at is not None and runner.state is JobState.SCHEDULED:
            pauses.append((runner.job.run_at - runner.clock.now()).total_seconds())

    assert states == [JobState.SCHEDULED] * (MAX_REFUSALS - 1) + [JobState.HELD]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (5, 300)
    assert runner.job.error is not None
    assert (runner.job.errors, runner.job.crashes) == (0, 0)


def test_refusals_are_counted_in_a_row() -> None:
    runner = AttemptRunner()
    runner.run(refused_once(runner, swallow=False))
    runner.run(refused_once(runner, swallow=False))

    runner.run(lambda ctx: ctx.sleep("nap", timedelta(hours=1)))
    runner.events.clear()
    runner.run(refused_once(runner, swallow=False))

    reported = next(event for event in runner.events if event.kind == "job.refused")
    assert reported.detail["times"] == 1


def test_an_end_that_is_refused_gives_the_job_back() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        done = ctx.run("step", lambda: "done")
        runner.ledger.refuse_next()
        return done

    assert runner.run(body) is JobState.SCHEDULED
    assert (runner.job.result, runner.job.errors, runner.step_names) == (None, 0, ["step"])


def test_an_end_that_cannot_be_recorded_in_any_way_is_handed_on() -> None:
    runner, owed = AttemptRunner(), list[tuple[Claim, Conclusion]]()
    catalogue = Catalogue([define(lambda ctx: runner.ledger.refuse_next(100))])
    executor = Executor(
        *(runner.ledger, catalogue, runner.clock),
        unrecorded=lambda claim, conclusion: owed.append((claim, conclusion)),
    )
    claim = runner.claim()

    assert executor.run(claim, Lease()) is None
    ((given, conclusion),) = owed
    assert (given, conclusion.transition.name) == (claim, "release")
    assert conclusion.reason.startswith("ledger refused")


@pytest.mark.parametrize("error", [LedgerUnavailableError(), LedgerSchemaError(), LedgerError()])
def test_trouble_that_a_job_meets_in_a_dispatch_of_its_own_is_no_error_of_its(
    error: LedgerError,
) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        raise error

    assert runner.run(body) is JobState.SCHEDULED
    assert (runner.job.errors, runner.job.releases) == (0, 1)


def test_what_a_job_does_not_find_in_the_ledger_is_its_own_error() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> None:
        raise JobNotFoundError

    runner.run(body)

    assert (runner.job.errors, runner.job.releases) == (1, 0)


def test_a_progress_that_is_refused_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        runner.ledger.refuse_next()
        ctx.progress(1, 2)
        return ctx.run("step", lambda: "done")

    assert runner.run(body) is JobState.SUCCEEDED
    assert any(record.exc_info for record in caplog.records)


def test_a_step_waits_for_a_ledger_that_is_away_and_its_time_is_not_the_jobs() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        runner.ledger.fail_next(5)
        return ctx.run("step", lambda: "done")

    assert runner.run(body) is JobState.SUCCEEDED
    assert runner.lease.excused == pytest.approx(5 * PAUSE_SECONDS)


def test_a_step_that_waits_when_its_lease_is_nearly_over_stops_and_records_nothing() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        runner.ledger.down()
        runner.lease.revoke(CutOff)
        return ctx.run("step", lambda: "done")

    assert runner.run(body) is None
    assert runner.events[-1].detail["reason"] == "ledger away"
    runner.ledger.up()
    assert runner.state is JobState.RUNNING


def test_the_end_of_an_attempt_is_waited_for_beyond_its_lease() -> None:
    runner = AttemptRunner()
    lease = Lease()
    claim = runner.claim()
    lease.end()
    lease.revoke(CutOff)
    runner.ledger.fail_next(1000)

    ledger = RetryingLedger(runner.ledger, lease, runner.clock)

    assert ledger.conclude(claim, Conclusion(SUCCEED, result="1")) is JobState.SUCCEEDED
    assert lease.revoked_by is None


def test_a_cut_off_attempt_of_an_ended_lease_is_still_fenced_by_another() -> None:
    lease = Lease()
    lease.end()

    lease.revoke(Fenced)

    assert lease.revoked_by is Fenced


def test_time_that_several_branches_wait_at_once_is_excused_once() -> None:
    lease = Lease()

    for since, until in ((0.0, 2.0), (1.0, 3.0), (0.5, 2.5), (5.0, 6.0)):
        lease.excuse(since, until)

    assert lease.excused == pytest.approx(4.0)


def test_an_error_of_a_tx_steps_own_work_stays_the_jobs() -> None:
    runner = AttemptRunner()
    error = LedgerError("raised by the job's own SQL")

    class Transacting:
        def record_in(self, claim: Claim, step: Any, work: Callable[[Any], str]) -> Any:
            return work(None)

    def work(connection: Any) -> str:
        raise error

    ledger: Any = Transacting()
    claim = runner.claim()
    patient = RetryingLedger(ledger, Lease(), runner.clock)

    with pytest.raises(LedgerError) as raised:
        patient.record_in(claim, Any, work)  # type: ignore[arg-type]
    assert raised.value is error


def test_an_async_job_is_given_back_too() -> None:
    runner = AsyncAttemptRunner()

    async def body(ctx: Any) -> str:
        runner.ledger.refuse_next()
        with suppress(Exception):
            await ctx.run("step", lambda: "done")
        return "went on"

    assert runner.go(body) is JobState.SCHEDULED
    assert (runner.job.errors, runner.job.releases) == (0, 1)


def test_a_branch_that_is_refused_ends_the_attempt_whatever_the_others_do() -> None:
    runner = AttemptRunner()

    def refused() -> str:
        runner.ledger.refuse_next()
        return "done"

    def body(ctx: JobContext) -> str:
        with suppress(Exception):
            ctx.parallel(ctx.branch("one", refused), at_once=1)
        return "went on"

    assert runner.run(body) is JobState.SCHEDULED
    assert (runner.job.errors, runner.job.releases) == (0, 1)
