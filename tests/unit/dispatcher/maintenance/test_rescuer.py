"""The rescuer and running jobs: whose lease is lost, and whose is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.job import JobRecord, WorkerRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from tests.unit.support.memory_app import MemoryApp

LEASE = timedelta(seconds=60)
PICKUP = DEFAULT.pickup
A_LITTLE = timedelta(seconds=1)


def watch(app: MemoryApp, span: timedelta) -> None:
    """Let the rescuer look, time pass, and the rescuer look again."""
    app.rescuer.tick()
    app.clock.advance(span)
    app.rescuer.tick()


def let_the_lease_run_out(app: MemoryApp) -> None:
    """Let it expire, and be seen standing still for a whole lease after that."""
    app.clock.advance(LEASE + A_LITTLE)
    watch(app, LEASE)


def test_a_running_job_whose_lease_was_lost_goes_on_with_the_other_engine() -> None:
    app = MemoryApp()
    app.workers()
    handle, claim = app.running(lease=LEASE)

    let_the_lease_run_out(app)

    job = handle.job()
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "dramatiq", 2)
    assert (job.crashes, job.handoffs, job.errors) == (1, 1, 0)
    assert [m.epoch for m in app.offered(app.dramatiq)] == [2]
    assert not app.ledger.renew([claim])


def test_a_recovery_emits_an_event() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)

    let_the_lease_run_out(app)

    event = next(each for each in app.events if each.kind == "job.recover")
    assert (event.job_id, event.epoch) == (handle.id, 2)
    lost = {"from": "rq", "crashes": 1, "reason": "lease lost"}
    assert event.detail == lost | {"cause": "lease_lost"}


def test_a_lease_that_only_looks_expired_is_watched_for_a_whole_lease_first() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)
    app.clock.advance(timedelta(days=1))

    watch(app, LEASE - A_LITTLE)

    assert handle.status() is JobState.RUNNING


def test_a_lease_that_was_renewed_is_watched_anew() -> None:
    app = MemoryApp()
    handle, claim = app.running(lease=LEASE)
    app.rescuer.tick()
    app.clock.advance(LEASE - A_LITTLE)
    app.ledger.renew([claim])

    app.clock.advance(LEASE + A_LITTLE)
    app.rescuer.tick()

    assert [watched.expired for watched in app.ledger.running()] == [True]
    assert handle.status() is JobState.RUNNING


def test_a_ledger_that_was_away_makes_no_lease_expire() -> None:
    app = MemoryApp()
    handle, claim = app.running(lease=LEASE)
    app.rescuer.tick()
    app.ledger.down()
    app.clock.advance(10 * LEASE)
    with pytest.raises(LedgerUnavailableError):
        app.rescuer.tick()
    app.ledger.up()
    app.ledger.renew([claim])

    app.rescuer.tick()

    assert handle.status() is JobState.RUNNING


def test_what_stood_still_before_an_outage_is_watched_for_a_whole_lease_after_it() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)
    app.rescuer.tick()
    app.ledger.down()
    app.clock.advance(10 * LEASE)
    with pytest.raises(LedgerUnavailableError):
        app.rescuer.tick()
    app.ledger.up()

    watch(app, LEASE - A_LITTLE)
    early = handle.status()
    watch(app, A_LITTLE)

    assert (early, handle.job().crashes) == (JobState.RUNNING, 1)


def test_a_rescuer_that_stood_still_itself_has_not_watched_meanwhile() -> None:
    app = MemoryApp(looks_every=A_LITTLE)
    handle, _ = app.running(lease=LEASE)
    watch(app, 10 * LEASE)
    frozen = handle.status()
    for _ in range(3):
        app.clock.advance(LEASE / 4)
        app.rescuer.tick()

    assert (frozen, handle.job().crashes) == (JobState.RUNNING, 1)


def test_what_a_dead_worker_had_is_handed_over_in_one_look_however_long_its_leases_are() -> None:
    app = MemoryApp()
    app.workers()
    handles = [app.running(lease=LEASE)[0] for _ in range(16)]
    app.clock.advance(A_LITTLE)

    app.ledger.mark_dead(WorkerRecord("worker", "rq", "default", "host", 1, 16))
    app.rescuer.tick()

    assert {(each.job().epoch, each.job().crashes) for each in handles} == {(2, 1)}
    reasons = [event.detail["reason"] for event in app.events if event.kind == "job.recover"]
    assert reasons == ["worker died"] * 16


def test_a_job_that_kills_its_workers_fails_however_soon_they_are_known_dead() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)
    for crashes in range(1, MAX_CRASHES + 1):
        app.clock.advance(A_LITTLE)
        app.ledger.retire("worker")
        app.ledger.mark_dead(WorkerRecord("worker", "rq", "default", "host", 1, 16))
        app.rescuer.tick()
        app.clock.advance(A_LITTLE)
        if crashes < MAX_CRASHES:
            assert app.claim(handle.job(), lease=LEASE) is not None

    assert (handle.job().state, handle.job().crashes) == (JobState.FAILED, MAX_CRASHES)


def test_a_job_that_finishes_while_the_rescuer_looks_stays_finished() -> None:
    app = MemoryApp()
    handle, claim = app.running(lease=LEASE)
    app.clock.advance(LEASE + A_LITTLE)
    app.rescuer.tick()
    app.clock.advance(LEASE)
    app.finish(claim)

    app.rescuer.tick()

    assert handle.status() is JobState.SUCCEEDED


def test_a_second_rescuer_recovers_nothing_twice() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)
    let_the_lease_run_out(app)

    watch(app, A_LITTLE)

    assert (handle.job().epoch, handle.job().crashes) == (2, 1)


def test_a_job_that_loses_its_lease_too_often_fails() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)
    for _ in range(MAX_CRASHES - 1):
        let_the_lease_run_out(app)
        assert app.claim(handle.job(), lease=LEASE) is not None

    let_the_lease_run_out(app)

    job = handle.job()
    assert (job.state, job.crashes) == (JobState.FAILED, MAX_CRASHES)
    assert job.error is not None
    assert "crash loop" in job.error.message
    assert app.events.kinds.count("job.exhaust") == 1


def test_a_lost_job_is_parked_while_no_engine_takes_offers() -> None:
    app = MemoryApp()
    handle, _ = app.running(lease=LEASE)
    app.engines.failed("rq", "timed out")
    app.engines.failed("dramatiq", "timed out")

    let_the_lease_run_out(app)

    job = handle.job()
    assert (job.state, job.crashes, job.epoch) == (JobState.SCHEDULED, 1, 2)


def test_a_lost_job_of_an_engine_that_was_switched_off_since_is_not_lost() -> None:
    app = MemoryApp(disabled=["rq"])
    new = NewJob("job-1", "welcome", "default", "{}", "sha", engines=("rq",))
    job, _ = app.ledger.record_job(new, OfferPlan("rq", PICKUP))
    app.claim(job, lease=LEASE)

    let_the_lease_run_out(app)

    assert app.ledger.get("job-1").state in (JobState.SCHEDULED, JobState.OFFERED)


def test_the_rescuer_does_nothing_where_nothing_is_wrong() -> None:
    app = MemoryApp()
    app.dispatch()
    app.dispatch(delay=timedelta(hours=1))
    before = list(app.events)

    watch(app, A_LITTLE)

    assert list(app.events) == before


def test_what_a_ledger_that_went_away_left_undone_is_done_at_the_next_look() -> None:
    app = MemoryApp()
    app.workers()
    handles = [app.running(lease=LEASE)[0] for _ in range(3)]
    offer, answers = app.ledger.offer, iter([True, False])

    def goes_away(seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        if not next(answers, True):
            raise LedgerUnavailableError
        return offer(seen, plan)

    app.ledger.offer = goes_away  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailableError):
        let_the_lease_run_out(app)
    assert [handle.job().epoch for handle in handles] == [2, 1, 1]

    app.rescuer.tick()

    assert [handle.job().epoch for handle in handles] == [2, 2, 2]
    assert [handle.job().crashes for handle in handles] == [1, 1, 1]


def test_a_worker_that_comes_back_under_its_old_name_does_not_keep_its_old_jobs() -> None:
    app = MemoryApp()
    dead = WorkerRecord("boot-1", "rq", "default", "host", 4711, 8)
    app.ledger.beat(dead, timedelta(days=1))
    handle, claim = app.running(lease=LEASE)

    app.ledger.beat(replace(dead, boot_id="boot-2"), timedelta(days=1))
    let_the_lease_run_out(app)

    assert (handle.job().epoch, handle.job().crashes) == (2, 1)
    assert not app.ledger.renew([claim])
