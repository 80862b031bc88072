"""Steps: run once, remembered, in their order."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from failsoft.job_engine import JobContext
from failsoft.job_engine.attempt.interrupts import CancelRequested, Fenced, HoldRequested
from failsoft.job_engine.records.job import StepKind
from failsoft.testing import FrozenClock
from tests.unit.support.attempts import AttemptRunner, Worker


class Hiccup(FrozenClock):
    """Between the first look at it and the second one the process stands still."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile
        self._looks = 0

    def steady(self) -> float:
        self._looks += 1
        if self._looks == 2:
            self._meanwhile()
            self.advance(timedelta(seconds=5))
        return super().steady()


def fails() -> None:
    raise RuntimeError("the first attempt ends here")


def test_a_step_gets_its_arguments_and_gives_its_result() -> None:
    ctx, worker = AttemptRunner().context(), Worker()

    result = ctx.run("fetch", worker.work, 1, "two")

    assert result == {"args": [1, "two"], "call": 1}


def test_a_finished_step_is_not_run_again_by_the_next_attempt() -> None:
    runner, worker = AttemptRunner(), Worker()
    runner.context().run("fetch", worker.work, 1)

    again = runner.context().run("fetch", worker.work, 2)

    assert again == {"args": [1], "call": 1}
    assert worker.calls == [(1,)]


def test_an_unfinished_step_runs_again() -> None:
    runner, worker = AttemptRunner(), Worker()
    ctx = runner.context()
    ctx.run("fetch", worker.work)
    with pytest.raises(RuntimeError):
        ctx.run("send", fails)

    ctx = runner.context()
    ctx.run("fetch", worker.work)
    ctx.run("send", worker.work)

    assert len(worker.calls) == 2
    assert runner.step_names == ["fetch", "send"]


def test_a_step_is_recorded_with_its_place_and_its_epoch() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    ctx.run("a", lambda: 1)
    ctx.run("b", lambda: 2)

    steps = runner.ledger.steps(runner.job_id)
    assert [(s.name, s.seq, s.kind, s.result) for s in steps] == [
        ("a", 0, StepKind.RUN, "1"),
        ("b", 1, StepKind.RUN, "2"),
    ]
    assert {s.epoch for s in steps} == {runner.job.epoch}


def test_an_error_of_a_step_is_the_jobs_to_catch() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    with pytest.raises(RuntimeError):
        ctx.run("fetch", fails)

    assert ctx.run("fetch", lambda: "second try") == "second try"
    assert runner.step_names == ["fetch"]


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\nb", "a\tb", "x" * 129, "\r"], ids=repr)
def test_a_step_without_a_proper_name_holds_the_job(name: str) -> None:
    with pytest.raises(HoldRequested, match="1 to 128 printable"):
        AttemptRunner().context().run(name, lambda: 1)


@pytest.mark.parametrize("name", ["a", "x" * 128, "fetch profile #7", "žluť"])
def test_a_step_may_have_any_printable_name(name: str) -> None:
    assert AttemptRunner().context().run(name, lambda: 1) == 1


def test_two_steps_of_one_name_hold_the_job() -> None:
    ctx = AttemptRunner().context()
    ctx.run("fetch", lambda: 1)

    with pytest.raises(HoldRequested, match="run before"):
        ctx.run("fetch", lambda: 2)


def test_a_step_inside_a_step_holds_the_job() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    with pytest.raises(HoldRequested, match="do not nest"):
        ctx.run("outer", lambda: ctx.run("inner", lambda: 1))

    assert runner.step_names == []


def test_a_step_that_was_renamed_holds_the_job() -> None:
    runner = AttemptRunner()
    runner.context().run("fetch", lambda: 1)

    with pytest.raises(HoldRequested, match=r"'get' at place 0.*recorded 'fetch'.*code changed"):
        runner.context().run("get", lambda: 1)


def test_a_step_that_comes_too_early_holds_the_job() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    ctx.run("fetch", lambda: 1)
    ctx.run("send", lambda: 2)

    with pytest.raises(HoldRequested, match=r"'(fetch|send)'.*code changed"):
        runner.context().run("send", lambda: 2)


def test_a_step_that_was_put_in_between_holds_the_job() -> None:
    runner = AttemptRunner()
    ctx = runner.context()
    ctx.run("fetch", lambda: 1)
    ctx.run("send", lambda: 2)
    ctx = runner.context()
    ctx.run("fetch", lambda: 1)

    with pytest.raises(HoldRequested, match=r"'check' at place 1.*'send'"):
        ctx.run("check", lambda: 3)


def test_a_step_added_at_the_end_is_no_change() -> None:
    runner = AttemptRunner()
    runner.context().run("fetch", lambda: 1)
    ctx = runner.context()
    ctx.run("fetch", lambda: 1)

    assert ctx.run("new", lambda: 2) == 2


def test_no_step_begins_once_the_job_was_cancelled() -> None:
    runner, worker = AttemptRunner(), Worker()
    ctx = runner.context()
    runner.ledger.cancel(runner.job_id, "somebody")

    with pytest.raises(CancelRequested):
        ctx.run("fetch", worker.work)

    assert worker.calls == []


def test_no_step_begins_once_another_attempt_has_the_job() -> None:
    runner, worker = AttemptRunner(), Worker()
    ctx = runner.context()
    runner.context()

    with pytest.raises(Fenced):
        ctx.run("fetch", worker.work)

    assert worker.calls == []


def test_a_step_during_which_the_job_was_handed_over_is_not_recorded() -> None:
    runner = AttemptRunner()
    ctx = runner.context()

    with pytest.raises(Fenced):
        ctx.run("fetch", runner.offer_again)

    assert runner.step_names == []


def test_a_process_that_stood_still_before_a_step_looks_again() -> None:
    runner, worker = AttemptRunner(), Worker()
    claim = runner.claim()
    ctx = JobContext(claim, runner.ledger, runner.lease, Hiccup(runner.offer_again))

    with pytest.raises(Fenced):
        ctx.run("fetch", worker.work)

    assert worker.calls == []


def test_the_idempotency_key_is_the_same_in_every_attempt() -> None:
    runner = AttemptRunner()

    keys = {runner.context().idempotency_key("send") for _ in range(2)}

    assert keys == {f"{runner.job_id}:send"}


def test_a_context_has_its_attempt_and_its_queue() -> None:
    runner = AttemptRunner()

    first, second = runner.context(), runner.context()

    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.job_id, first.queue) == (runner.job_id, "default")


def test_a_log_line_of_a_job_names_it(caplog: pytest.LogCaptureFixture) -> None:
    runner = AttemptRunner()

    with caplog.at_level(logging.INFO, logger="failsoft.job"):
        runner.context().log.info("hello", extra={"colour": "red"})

    record = vars(caplog.records[0])
    assert (record["job_id"], record["job"], record["attempt"]) == (runner.job_id, "welcome", 1)
    assert record["colour"] == "red"
