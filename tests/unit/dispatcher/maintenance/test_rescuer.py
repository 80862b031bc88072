"""The rescuer and running jobs: whose lease is lost, and whose is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.job import JobRecord, WorkerRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from tests.unit.support.memory_app import House

LEASE = timedelta(seconds=60)
PICKUP = DEFAULT.pickup
A_LITTLE = timedelta(seconds=1)


def watch(house: House, span: timedelta) -> None:
    """Let the rescuer look, time pass, and the rescuer look again."""
    house.rescuer.tick()
    house.clock.advance(span)
    house.rescuer.tick()


def let_the_lease_run_out(house: House) -> None:
    """Let it expire, and be seen standing still for a whole lease after that."""
    house.clock.advance(LEASE + A_LITTLE)
    watch(house, LEASE)


def test_a_running_job_whose_lease_was_lost_goes_on_with_the_other_engine() -> None:
    house = House()
    house.workers()
    handle, claim = house.running(lease=LEASE)

    let_the_lease_run_out(house)

    job = handle.job()
    assert (job.state, job.engine, job.epoch) == (JobState.OFFERED, "dramatiq", 2)
    assert (job.crashes, job.handoffs, job.errors) == (1, 1, 0)
    assert [m.epoch for m in house.offered(house.dramatiq)] == [2]
    assert not house.ledger.renew([claim])


def test_a_recovery_is_told() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)

    let_the_lease_run_out(house)

    event = next(each for each in house.heard if each.kind == "job.recover")
    assert (event.job_id, event.epoch) == (handle.id, 2)
    assert event.detail == {"from": "rq", "crashes": 1, "reason": "lease lost"}


def test_a_lease_that_only_looks_expired_is_watched_for_a_whole_lease_first() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)
    house.clock.advance(timedelta(days=1))

    watch(house, LEASE - A_LITTLE)

    assert handle.status() is JobState.RUNNING


def test_a_lease_that_was_renewed_is_watched_anew() -> None:
    house = House()
    handle, claim = house.running(lease=LEASE)
    house.rescuer.tick()
    house.clock.advance(LEASE - A_LITTLE)
    house.ledger.renew([claim])

    house.clock.advance(LEASE + A_LITTLE)
    house.rescuer.tick()

    assert [watched.expired for watched in house.ledger.running()] == [True]
    assert handle.status() is JobState.RUNNING


def test_a_ledger_that_was_away_makes_no_lease_expire() -> None:
    house = House()
    handle, claim = house.running(lease=LEASE)
    house.rescuer.tick()
    house.ledger.down()
    house.clock.advance(10 * LEASE)
    with pytest.raises(LedgerUnavailableError):
        house.rescuer.tick()
    house.ledger.up()
    house.ledger.renew([claim])

    house.rescuer.tick()

    assert handle.status() is JobState.RUNNING


def test_what_stood_still_before_an_outage_is_watched_for_a_whole_lease_after_it() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)
    house.rescuer.tick()
    house.ledger.down()
    house.clock.advance(10 * LEASE)
    with pytest.raises(LedgerUnavailableError):
        house.rescuer.tick()
    house.ledger.up()

    watch(house, LEASE - A_LITTLE)
    early = handle.status()
    watch(house, A_LITTLE)

    assert (early, handle.job().crashes) == (JobState.RUNNING, 1)


def test_a_rescuer_that_stood_still_itself_has_not_watched_meanwhile() -> None:
    house = House(looks_every=A_LITTLE)
    handle, _ = house.running(lease=LEASE)
    watch(house, 10 * LEASE)
    frozen = handle.status()
    for _ in range(3):
        house.clock.advance(LEASE / 4)
        house.rescuer.tick()

    assert (frozen, handle.job().crashes) == (JobState.RUNNING, 1)


def test_what_a_dead_worker_had_is_handed_over_in_one_look_however_long_its_leases_are() -> None:
    house = House()
    house.workers()
    handles = [house.running(lease=LEASE)[0] for _ in range(16)]
    house.clock.advance(A_LITTLE)

    house.ledger.mark_dead(WorkerRecord("worker", "rq", "default", "host", 1, 16))
    house.rescuer.tick()

    assert {(each.job().epoch, each.job().crashes) for each in handles} == {(2, 1)}
    told = [event.detail["reason"] for event in house.heard if event.kind == "job.recover"]
    assert told == ["worker died"] * 16


def test_a_job_that_kills_its_workers_fails_however_soon_they_are_known_dead() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)
    for crashes in range(1, MAX_CRASHES + 1):
        house.clock.advance(A_LITTLE)
        house.ledger.retire("worker")
        house.ledger.mark_dead(WorkerRecord("worker", "rq", "default", "host", 1, 16))
        house.rescuer.tick()
        house.clock.advance(A_LITTLE)
        if crashes < MAX_CRASHES:
            assert house.claim(handle.job(), lease=LEASE) is not None

    assert (handle.job().state, handle.job().crashes) == (JobState.FAILED, MAX_CRASHES)


def test_a_job_that_finishes_while_the_rescuer_looks_stays_finished() -> None:
    house = House()
    handle, claim = house.running(lease=LEASE)
    house.clock.advance(LEASE + A_LITTLE)
    house.rescuer.tick()
    house.clock.advance(LEASE)
    house.finish(claim)

    house.rescuer.tick()

    assert handle.status() is JobState.SUCCEEDED


def test_a_second_rescuer_recovers_nothing_twice() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)
    let_the_lease_run_out(house)

    watch(house, A_LITTLE)

    assert (handle.job().epoch, handle.job().crashes) == (2, 1)


def test_a_job_that_loses_its_lease_too_often_fails() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)
    for _ in range(MAX_CRASHES - 1):
        let_the_lease_run_out(house)
        assert house.claim(handle.job(), lease=LEASE) is not None

    let_the_lease_run_out(house)

    job = handle.job()
    assert (job.state, job.crashes) == (JobState.FAILED, MAX_CRASHES)
    assert job.error is not None
    assert "crash loop" in job.error.message
    assert house.heard.kinds.count("job.exhaust") == 1


def test_a_lost_job_is_parked_while_no_engine_takes_offers() -> None:
    house = House()
    handle, _ = house.running(lease=LEASE)
    house.engines.failed("rq", "timed out")
    house.engines.failed("dramatiq", "timed out")

    let_the_lease_run_out(house)

    job = handle.job()
    assert (job.state, job.crashes, job.epoch) == (JobState.SCHEDULED, 1, 2)


def test_a_lost_job_of_an_engine_that_was_switched_off_since_is_not_lost() -> None:
    house = House(disabled=["rq"])
    new = NewJob("job-1", "welcome", "default", "{}", "sha", engines=("rq",))
    job, _ = house.ledger.record_job(new, OfferPlan("rq", PICKUP))
    house.claim(job, lease=LEASE)

    let_the_lease_run_out(house)

    assert house.ledger.get("job-1").state in (JobState.SCHEDULED, JobState.OFFERED)


def test_the_rescuer_does_nothing_where_nothing_is_wrong() -> None:
    house = House()
    house.dispatch()
    house.dispatch(delay=timedelta(hours=1))
    before = list(house.heard)

    watch(house, A_LITTLE)

    assert list(house.heard) == before


def test_what_a_ledger_that_went_away_left_undone_is_done_at_the_next_look() -> None:
    house = House()
    house.workers()
    handles = [house.running(lease=LEASE)[0] for _ in range(3)]
    offer, asked = house.ledger.offer, iter([True, False])

    def goes_away(seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        if not next(asked, True):
            raise LedgerUnavailableError
        return offer(seen, plan)

    house.ledger.offer = goes_away  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailableError):
        let_the_lease_run_out(house)
    assert [handle.job().epoch for handle in handles] == [2, 1, 1]

    house.rescuer.tick()

    assert [handle.job().epoch for handle in handles] == [2, 2, 2]
    assert [handle.job().crashes for handle in handles] == [1, 1, 1]


def test_a_worker_that_comes_back_under_its_old_name_does_not_keep_its_old_jobs() -> None:
    house = House()
    dead = WorkerRecord("boot-1", "rq", "default", "host", 4711, 8)
    house.ledger.beat(dead, timedelta(days=1))
    handle, claim = house.running(lease=LEASE)

    house.ledger.beat(replace(dead, boot_id="boot-2"), timedelta(days=1))
    let_the_lease_run_out(house)

    assert (handle.job().epoch, handle.job().crashes) == (2, 1)
    assert not house.ledger.renew([claim])
