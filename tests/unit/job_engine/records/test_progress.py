"""How far a job has come: reported often, written now and then."""

from contextlib import suppress
from datetime import timedelta

import pytest

from failsoft.job_engine import JobContext, JobState, Progress
from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.errors import StepError
from tests.unit.support.attempts import AttemptRunner

SECOND = timedelta(seconds=1)


def written(runner: AttemptRunner) -> tuple[int, int | None, str] | None:
    found = runner.job.progress
    return None if found is None else (found.done, found.total, found.note)


def test_the_first_word_is_written_at_once() -> None:
    runner = AttemptRunner()

    runner.context().progress(1, 3, "fetching")

    assert runner.job.progress == Progress(1, 3, "fetching", runner.clock.now())


def test_a_tight_loop_costs_no_commit_for_each_word() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    before = runner.job.revision

    for number in range(1000):
        ctx.progress(number)

    assert runner.job.revision == before + 1
    assert written(runner) == (0, None, "")


def test_a_word_is_written_once_a_second() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    ctx.progress(1)
    ctx.progress(2)
    runner.clock.advance(SECOND)

    ctx.progress(3)

    assert written(runner) == (3, None, "")


def test_the_last_word_is_written_when_a_step_ends_a_second_later() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    ctx.progress(1)
    ctx.progress(2)

    ctx.run("work", lambda: runner.clock.advance(SECOND))

    assert written(runner) == (2, None, "")


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_word_is_written_when_the_attempt_ends(*, fails: bool) -> None:
    def body(ctx: JobContext) -> None:
        ctx.progress(1, 2)
        ctx.progress(2, 2, "nearly done")
        if fails:
            raise RuntimeError("at the very end")

    runner = AttemptRunner(body)
    runner.run()

    assert written(runner) == (2, 2, "nearly done")


def test_a_step_may_report_how_far_it_has_come() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    ctx.run("work", lambda: ctx.progress(7, 9))

    assert written(runner) == (7, 9, "")


def test_a_ledger_that_is_away_is_not_waited_for() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    runner.ledger.fail_next()
    ctx.progress(1)
    runner.clock.advance(SECOND)

    ctx.progress(2)

    assert written(runner) == (2, None, "")


def test_who_was_fenced_reports_nothing_and_stops() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    runner.offer_again()

    with pytest.raises(Fenced):
        ctx.progress(1)

    assert written(runner) is None


def test_an_attempt_that_swallows_the_fence_is_over() -> None:
    runner = AttemptRunner()

    def body(ctx: JobContext) -> str:
        runner.offer_again()
        with suppress(BaseException):
            ctx.progress(1)
        return "done"

    assert runner.run(body) is None
    assert runner.state is JobState.OFFERED


@pytest.mark.parametrize(
    ("done", "total", "note"), [(-1, None, ""), (3, 2, ""), (1, -1, ""), (1, 1, "x" * 256)]
)
def test_what_makes_no_sense_is_refused(done: int, total: int | None, note: str) -> None:
    runner = AttemptRunner()

    with pytest.raises(StepError, match="progress: expected"):
        runner.context().progress(done, total, note)

    assert written(runner) is None
