"""The kit breaks what a job may meet, and the job goes on as it would on servers."""

from datetime import timedelta

import pytest

from failsoft.api import dispatch_job
from failsoft.job_engine.crash_points import HOOKS
from failsoft.testkit import Testkit
from failsoft.testkit.results import FAILURES, Failure
from tests.testkit.jobs import File, Nothing, Person, fetch, import_file, nap, send_welcome

STEPS = ("load-1", "load-2", "load-3")


def test_a_job_goes_on_on_the_other_engine(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_after_step("load-2")

    assert failsoft.drain().died == 1
    failsoft.assert_state(handle, "running")
    failsoft.fail_engine("rq")
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_ran_on(handle, "rq", "dramatiq")
    failsoft.assert_steps(handle, *STEPS, once=True)
    assert done == list(STEPS)


def test_a_death_within_a_step_repeats_its_body(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_during_step("load-2")

    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS)
    assert done == ["load-1", "load-2", "load-2", "load-3"]
    with pytest.raises(AssertionError, match="load-2 2 times"):
        failsoft.assert_steps(handle, *STEPS, once=True)


def test_a_death_before_a_step_runs_its_body_once(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_before_step("load-2", of=handle)

    failsoft.drain()
    assert done == ["load-1"]
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS, once=True)


def test_a_death_is_of_one_job_if_it_is_named(failsoft: Testkit) -> None:
    spared = dispatch_job(import_file, File())
    doomed = dispatch_job(import_file, File())
    failsoft.die_after_step("load-1", of=doomed)

    failsoft.drain()

    failsoft.assert_state(spared, "succeeded")
    failsoft.assert_state(doomed, "running")
    failsoft.travel(minutes=2)
    failsoft.drain()


@pytest.mark.parametrize("moment", ["during", "after"])
def test_a_worker_dies_while_its_job_falls_asleep(failsoft: Testkit, moment: str) -> None:
    handle = dispatch_job(nap, Nothing())
    getattr(failsoft, f"die_{moment}_step")("sleep")

    assert failsoft.drain().died == 1
    failsoft.assert_state(handle, "running" if moment == "during" else "scheduled")
    failsoft.travel(minutes=2)
    failsoft.drain(with_scheduled=True)

    failsoft.assert_steps(handle, "before", "sleep", "after", once=True)


def test_an_async_worker_dies(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(fetch, Nothing())
    failsoft.die_after_step("get")

    failsoft.drain()
    failsoft.assert_state(handle, "running")
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, "get", once=True)
    assert done == ["get"]


def test_a_job_is_cancelled_while_it_runs(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.cancel_during_step("load-2")

    failsoft.drain()

    failsoft.assert_state(handle, "cancelled")
    failsoft.assert_steps(handle, "load-1", "load-2")
    assert done == ["load-1", "load-2"]


def test_an_attempt_loses_its_lease(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.lose_lease(handle)

    failsoft.drain()

    # What the first attempt did in its first step was recorded by nobody.
    assert done == ["load-1", *STEPS]
    failsoft.assert_steps(handle, *STEPS)
    assert "job.fenced" in [event.kind for event in failsoft.events]


@pytest.mark.parametrize("how", FAILURES)
def test_a_job_outlives_each_failure_of_its_engine(failsoft: Testkit, how: Failure) -> None:
    failsoft.fail_engine("rq", how)
    handle = dispatch_job(send_welcome, Person())

    for _ in range(3):
        failsoft.drain()
        failsoft.travel(minutes=1)
    failsoft.drain()

    failsoft.assert_ran_on(handle, "dramatiq")


def test_one_offer_fails(failsoft: Testkit) -> None:
    failsoft.fail_engine("rq", times=1)
    handle = dispatch_job(send_welcome, Person())
    failsoft.drain()

    failsoft.assert_ran_on(handle, "dramatiq")
    failsoft.travel(minutes=1)
    again = dispatch_job(send_welcome, Person())
    failsoft.drain()
    failsoft.assert_ran_on(again, "rq")


def test_a_message_that_comes_again_is_void(failsoft: Testkit, done: list[str]) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.drain()

    failsoft.redeliver(handle)
    drained = failsoft.drain()

    assert (drained.ran, drained.stale) == (0, 1)
    assert done == list(STEPS)


@pytest.mark.parametrize("during", ["claim", "begin", "step", "conclude"])
def test_a_job_waits_for_a_ledger_that_is_away(
    failsoft: Testkit, during: str, done: list[str]
) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.ledger_down(during, times=3 if during != "claim" else 1)

    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS, once=True)
    failsoft.assert_state(handle, "succeeded")
    assert done == list(STEPS)


def test_no_hook_is_left_behind(failsoft: Testkit) -> None:
    failsoft.crash_at("conclude.before")
    assert len(HOOKS) == 1

    failsoft.close()

    assert HOOKS == []


def test_a_job_that_swallows_its_death_records_nothing(failsoft: Testkit) -> None:
    from tests.testkit import stubborn  # noqa: PLC0415 - a job that no other test has

    handle = dispatch_job(stubborn.stubborn, Nothing())
    failsoft.die_after_step("one")

    failsoft.drain()

    failsoft.assert_state(handle, "running")
    failsoft.assert_steps(handle, "one")
    failsoft.refute_dispatched(send_welcome)
    handle.cancel()
    failsoft.travel(seconds=timedelta(minutes=2).total_seconds())
    failsoft.drain()
