"""How far a job has come: told often, written now and then."""

from contextlib import suppress
from datetime import timedelta

import pytest

from failsoft.job_engine import JobContext, JobState, Progress
from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.errors import StepError
from tests.unit.support.attempts import Stage

SECOND = timedelta(seconds=1)


def written(stage: Stage) -> tuple[int, int | None, str] | None:
    found = stage.job.progress
    return None if found is None else (found.done, found.total, found.note)


def test_the_first_word_is_written_at_once() -> None:
    stage = Stage()

    stage.context().progress(1, 3, "fetching")

    assert stage.job.progress == Progress(1, 3, "fetching", stage.clock.now())


def test_a_tight_loop_costs_no_commit_for_each_word() -> None:
    stage = Stage()
    ctx = stage.context()
    before = stage.job.hb

    for number in range(1000):
        ctx.progress(number)

    assert stage.job.hb == before + 1
    assert written(stage) == (0, None, "")


def test_a_word_is_written_once_a_second() -> None:
    stage = Stage()
    ctx = stage.context()
    ctx.progress(1)
    ctx.progress(2)
    stage.clock.advance(SECOND)

    ctx.progress(3)

    assert written(stage) == (3, None, "")


def test_the_last_word_is_written_when_a_step_ends_a_second_later() -> None:
    stage = Stage()
    ctx = stage.context()
    ctx.progress(1)
    ctx.progress(2)

    ctx.run("work", lambda: stage.clock.advance(SECOND))

    assert written(stage) == (2, None, "")


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_word_is_written_when_the_attempt_ends(*, fails: bool) -> None:
    def body(ctx: JobContext) -> None:
        ctx.progress(1, 2)
        ctx.progress(2, 2, "nearly done")
        if fails:
            raise RuntimeError("at the very end")

    stage = Stage(body)
    stage.run()

    assert written(stage) == (2, 2, "nearly done")


def test_a_step_may_tell_how_far_it_has_come() -> None:
    stage = Stage()
    ctx = stage.context()

    ctx.run("work", lambda: ctx.progress(7, 9))

    assert written(stage) == (7, 9, "")


def test_a_ledger_that_is_away_is_not_waited_for() -> None:
    stage = Stage()
    ctx = stage.context()
    stage.ledger.fail_next()
    ctx.progress(1)
    stage.clock.advance(SECOND)

    ctx.progress(2)

    assert written(stage) == (2, None, "")


def test_who_was_fenced_tells_nothing_and_stops() -> None:
    stage = Stage()
    ctx = stage.context()
    stage.offer_again()

    with pytest.raises(Fenced):
        ctx.progress(1)

    assert written(stage) is None


def test_an_attempt_that_swallows_the_fence_is_over() -> None:
    stage = Stage()

    def body(ctx: JobContext) -> str:
        stage.offer_again()
        with suppress(BaseException):
            ctx.progress(1)
        return "done"

    assert stage.run(body) is None
    assert stage.state is JobState.OFFERED


@pytest.mark.parametrize(
    ("done", "total", "note"), [(-1, None, ""), (3, 2, ""), (1, -1, ""), (1, 1, "x" * 256)]
)
def test_what_makes_no_sense_is_refused(done: int, total: int | None, note: str) -> None:
    stage = Stage()

    with pytest.raises(StepError, match="progress: expected"):
        stage.context().progress(done, total, note)

    assert written(stage) is None
