"""What a program's test says of its jobs holds in memory and on servers that are killed."""

from datetime import timedelta

import pytest

from failsoft.api import JobState, LedgerUnavailableError, dispatch_job
from failsoft.job_engine.crash_points import POINTS
from failsoft.testkit import DrainLimitError, ProcessDied, Testkit
from failsoft.testkit.results import Failure
from tests.testkit.jobs import (
    HOUR,
    File,
    Nothing,
    Person,
    alone,
    approve,
    fail,
    fetch,
    import_file,
    nap,
    pay,
    send_welcome,
    sign_up,
    sweep,
    tick,
)

STEPS = ("load-1", "load-2", "load-3")


def test_a_job_runs_when_it_is_drained(failsoft: Testkit) -> None:
    handle = dispatch_job(send_welcome, Person(), priority=3)
    failsoft.assert_dispatched(
        send_welcome, email="ada@example.org", queue="default", delay=None, priority=3
    )
    failsoft.assert_state(handle, "offered")

    drained = failsoft.drain()

    assert (drained.ran, drained.by_engine) == (1, {"rq": 1})
    assert failsoft.job(send_welcome).result() == "Welcome, ada"


def test_a_job_goes_on_on_the_other_engine(failsoft: Testkit, second: str) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_after_step("load-2")

    assert failsoft.drain().died == 1
    failsoft.assert_state(handle, "running")
    failsoft.fail_engine("rq")
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_ran_on(handle, "rq", second)
    failsoft.assert_steps(handle, *STEPS, once=True)


def test_a_death_within_a_step_repeats_its_body(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_during_step("load-2")

    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS)
    with pytest.raises(AssertionError, match="load-2 2 times"):
        failsoft.assert_steps(handle, *STEPS, once=True)


def test_a_death_before_a_step_runs_its_body_once(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_before_step("load-2", of=handle)

    failsoft.drain()
    failsoft.assert_steps(handle, "load-1")
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
    failsoft.assert_state(doomed, "succeeded")


@pytest.mark.parametrize(("moment", "state"), [("during", "running"), ("after", "scheduled")])
def test_a_worker_dies_while_its_job_falls_asleep(
    failsoft: Testkit, moment: str, state: str
) -> None:
    handle = dispatch_job(nap, Nothing())
    getattr(failsoft, f"die_{moment}_step")("sleep")

    assert failsoft.drain().died == 1
    failsoft.assert_state(handle, state)
    failsoft.travel(minutes=2)
    failsoft.drain(with_scheduled=True)

    failsoft.assert_steps(handle, "before", "sleep", "after", once=True)


def test_a_job_outlives_two_deaths(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    for step in ("load-1", "load-2"):
        failsoft.die_after_step(step)
        assert failsoft.drain().died == 1
        failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS, once=True)


def test_a_once_step_in_doubt_holds_the_job(failsoft: Testkit) -> None:
    handle = dispatch_job(pay, Nothing())
    failsoft.die_during_step("charge")

    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_held(handle, "charge")


def test_an_async_worker_dies(failsoft: Testkit) -> None:
    handle = dispatch_job(fetch, Nothing())
    failsoft.die_after_step("get")

    failsoft.drain()
    failsoft.assert_state(handle, "running")
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, "get", once=True)
    assert handle.result() == "get"


def test_a_job_is_cancelled_while_it_runs(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.cancel_during_step("load-2")

    failsoft.drain()

    failsoft.assert_state(handle, "cancelled")
    failsoft.assert_steps(handle, "load-1", "load-2", once=True)


def test_an_attempt_loses_its_lease(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.lose_lease(handle)

    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS)
    # What the first attempt did in its first step was recorded by nobody.
    with pytest.raises(AssertionError, match="load-1 2 times"):
        failsoft.assert_steps(handle, *STEPS, once=True)
    assert "job.fenced" in [event.kind for event in failsoft.events]


def test_a_job_is_taken_from_its_dead_worker_at_once(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.die_after_step("load-1")
    failsoft.drain()

    failsoft.lose_lease(handle)

    failsoft.assert_state(handle, "offered")
    failsoft.travel(minutes=2)
    failsoft.drain()
    failsoft.assert_steps(handle, *STEPS, once=True)


@pytest.mark.parametrize("how", ["refuse", "silent", "no-workers"])
def test_a_job_outlives_its_engine(failsoft: Testkit, how: Failure, second: str) -> None:
    failsoft.fail_engine("rq", how)
    failsoft.travel(seconds=5)
    handle = dispatch_job(send_welcome, Person())

    failsoft.drain()

    failsoft.assert_ran_on(handle, second)


def test_no_engine_takes_a_job_until_one_is_healed(failsoft: Testkit, second: str) -> None:
    for name in ("rq", second):
        failsoft.fail_engine(name)
    handle = dispatch_job(send_welcome, Person())
    failsoft.drain()
    failsoft.assert_state(handle, "scheduled")

    failsoft.heal_engine(second)
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_ran_on(handle, second)


def test_an_engine_that_is_back_gets_jobs_again(failsoft: Testkit, second: str) -> None:
    failsoft.fail_engine("rq")
    first = dispatch_job(send_welcome, Person())
    failsoft.drain()

    failsoft.heal_engine("rq")
    failsoft.travel(minutes=1)
    later = dispatch_job(send_welcome, Person())
    failsoft.drain()

    failsoft.assert_ran_on(first, second)
    failsoft.assert_ran_on(later, "rq")


def test_what_an_engine_lost_is_offered_again(failsoft: Testkit) -> None:
    handle = dispatch_job(send_welcome, Person())
    failsoft.wipe_engine("rq")

    assert failsoft.drain().ran == 0
    failsoft.travel(minutes=1)
    failsoft.drain()

    failsoft.assert_state(handle, "succeeded")


def test_stopped_workers_leave_a_job_to_the_other_engine(failsoft: Testkit, second: str) -> None:
    failsoft.stop_workers("rq", "default")
    failsoft.travel(seconds=5)
    handle = dispatch_job(send_welcome, Person())
    other = dispatch_job(send_welcome, Person(), queue="scheduled")
    failsoft.drain()

    failsoft.assert_ran_on(handle, second)
    failsoft.assert_ran_on(other, "rq")


def test_a_message_that_comes_again_is_void(failsoft: Testkit) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.drain()

    failsoft.redeliver(handle)
    drained = failsoft.drain()

    assert (drained.ran, drained.stale) == (0, 1)
    failsoft.assert_steps(handle, *STEPS, once=True)


def test_a_ledger_that_is_away_refuses_a_dispatch(failsoft: Testkit) -> None:
    failsoft.ledger_down("dispatch")

    with pytest.raises(LedgerUnavailableError):
        dispatch_job(send_welcome, Person())

    failsoft.refute_dispatched(send_welcome)


@pytest.mark.parametrize("during", ["begin", "step", "conclude"])
def test_a_job_waits_for_a_ledger_that_is_away(failsoft: Testkit, during: str) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.ledger_down(during, times=2)

    failsoft.drain()
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS, once=True)
    failsoft.assert_state(handle, "succeeded")


@pytest.mark.parametrize("point", ["claim.after", "body.after", "step.after", "conclude.before"])
def test_a_worker_is_killed_at_a_crash_point(failsoft: Testkit, point: str) -> None:
    handle = dispatch_job(import_file, File())
    failsoft.crash_at(point)

    assert failsoft.drain().died == 1
    failsoft.assert_state(handle, "running")
    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(handle, *STEPS)
    failsoft.assert_state(handle, "succeeded")


#: The process of the test itself is what reaches these in a dispatch.
OF_DISPATCHES = ("dispatch.before", "dispatch.after", "engine.before", "engine.after")


@pytest.mark.parametrize("point", POINTS)
def test_a_job_outlives_a_death_at_each_point(failsoft: Testkit, point: str) -> None:
    failsoft.crash_at(point)
    try:
        dispatch_job(import_file, File())
    except ProcessDied:
        assert point in OF_DISPATCHES
    if not failsoft.dispatched():
        assert point == "dispatch.before"
        dispatch_job(import_file, File())
    handle = failsoft.job(import_file)
    for _ in range(3):
        failsoft.drain()
        failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_state(handle, JobState.SUCCEEDED)
    failsoft.assert_steps(handle, *STEPS)


def test_a_dispatch_dies_and_its_job_does_not(failsoft: Testkit) -> None:
    failsoft.crash_at("dispatch.after")
    with pytest.raises(ProcessDied):
        dispatch_job(import_file, File())

    failsoft.travel(minutes=2)
    failsoft.drain()

    failsoft.assert_steps(failsoft.job(import_file), *STEPS, once=True)


def test_a_job_sleeps_for_an_hour(failsoft: Testkit) -> None:
    before = failsoft.freeze()
    handle = dispatch_job(nap, Nothing())

    failsoft.drain()
    failsoft.assert_scheduled(nap, within=HOUR)
    failsoft.drain(with_scheduled=True)

    assert handle.result() == "beforeafter"
    assert HOUR <= failsoft.freeze() - before < 2 * HOUR


def test_a_job_waits_for_its_time(failsoft: Testkit) -> None:
    handle = dispatch_job(send_welcome, Person(), delay=timedelta(days=30))
    failsoft.drain()
    failsoft.assert_not_offered(handle)

    failsoft.travel(days=30, minutes=1)
    failsoft.drain()

    failsoft.assert_state(handle, "succeeded")


def test_what_a_job_raises_is_raised_with_its_step(failsoft: Testkit) -> None:
    handle = dispatch_job(fail, Nothing())
    failsoft.drain()  # the first attempt, which is retried

    with pytest.raises(ValueError, match="no paper") as raised:
        failsoft.drain(with_scheduled=True)

    assert "in step 'explode', attempt 2" in raised.value.__notes__[0]
    failsoft.assert_state(handle, "failed")


def test_a_schedule_fires_while_time_passes(failsoft: Testkit) -> None:
    failsoft.register(sweep)

    for _ in range(3):
        failsoft.travel(hours=1)
        failsoft.drain()

    failsoft.assert_dispatched(sweep, count=3)


def test_an_event_wakes_a_job(failsoft: Testkit) -> None:
    handle = dispatch_job(approve, Nothing())
    failsoft.drain()

    assert failsoft.send_event("approved", "yes", to=handle) == 1
    failsoft.drain()

    assert handle.result() == "yes"


def test_a_job_dispatches_another(failsoft: Testkit) -> None:
    dispatch_job(sign_up, Person())

    assert failsoft.drain().ran == 2

    failsoft.assert_dispatched(send_welcome, email="ada@example.org")
    assert failsoft.job(send_welcome).result() == "Welcome, ada"


def test_jobs_with_limits_run_one_after_the_other(failsoft: Testkit) -> None:
    handles = [dispatch_job(alone, Nothing()) for _ in range(3)]

    failsoft.drain(with_scheduled=True)

    for handle in handles:
        failsoft.assert_state(handle, "succeeded")


def test_jobs_run_at_each_dispatch_if_they_are_inline(failsoft: Testkit) -> None:
    with failsoft.inline():
        handle = dispatch_job(send_welcome, Person())
        failsoft.assert_state(handle, "succeeded")


def test_a_job_without_an_end_stops_the_drain(failsoft: Testkit) -> None:
    dispatch_job(tick, Nothing())

    with pytest.raises(DrainLimitError, match="still due after 5: tick x5"):
        failsoft.drain(jobs=5)

    for each in failsoft.unfinished():
        failsoft.ledger.cancel(each.id, "test")
