"""Leases are renewed in time, and an attempt that has lost its lease is stopped."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.attempt.interrupts import (
    CancelRequested,
    CutOff,
    Fenced,
    Interrupt,
    Released,
    TimedOut,
)
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.job import Claim, Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.worker.attempts.claim_returns import ClaimReturns
from failsoft.worker.attempts.lease_keeper import (
    LONGEST_SLEEP,
    LOOK_SECONDS,
    OVERDUE_SECONDS,
    LeaseKeeper,
)
from failsoft.worker.processes.loop_thread import LoopThread, Pause
from tests.servers.processes import PATIENCE, wait_until
from tests.unit.worker.attempts.offered_job import LEASE, OfferedJob

LONG = timedelta(hours=1)
A_MOMENT = timedelta(milliseconds=1)


class Watch:
    """A keeper whose two threads look when the test says so."""

    def __init__(self) -> None:
        self.offered = OfferedJob()
        self.overdue: list[str] = []
        self.returns = ClaimReturns(
            self.offered.ledger, self.offered.clock, self.offered.events.append
        )
        self.keeper = LeaseKeeper(
            self.offered.ledger, self.offered.clock, self._note_overdue, self.returns
        )
        self.claim = self.offered.claim()
        self.lease = Lease()

    def _note_overdue(self, claim: Claim) -> None:
        self.overdue.append(claim.job_id)

    def hold(self, timeout: timedelta = LONG) -> Any:
        return self.keeper.hold(self.claim, self.lease, timeout)

    def after(self, span: timedelta) -> type[Interrupt] | None:
        """Let time pass, look, and return what the lease was revoked with."""
        self.offered.clock.advance(span)
        self.keeper._renew_due()
        self.keeper._watch()
        return self.lease.revoked_by

    @property
    def renewals(self) -> int:
        """How often the lease was renewed: each claim and each renewal moves the heartbeat."""
        return self.offered.ledger.get("job-1").revision - 1


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_lease_is_renewed_when_a_quarter_of_it_is_over_and_not_before(watch: Watch) -> None:
    with watch.hold():
        watch.after(LEASE / 4 - A_MOMENT)
        before = watch.renewals
        watch.after(A_MOMENT)
        after = watch.renewals
        watch.after(LEASE / 4 - A_MOMENT)

        assert (before, after, watch.renewals) == (0, 1, 1)
        assert watch.lease.revoked_by is None


def test_leases_that_are_nearly_due_are_renewed_along_with_one_that_is(watch: Watch) -> None:
    offered, renewed = watch.offered, list[Sequence[Claim]]()

    class CountingLedger:
        def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
            renewed.append(claims)
            return offered.ledger.renew(claims)

    ledger: Any = CountingLedger()
    keeper = LeaseKeeper(
        ledger, offered.clock, lambda claim: None, ClaimReturns(offered.ledger, offered.clock)
    )
    first, second, third = watch.claim, offered.claim("job-2"), offered.claim("job-3")
    with keeper.hold(first, Lease(), LONG):
        offered.clock.advance(LEASE / 8)
        with keeper.hold(second, Lease(), LONG):
            offered.clock.advance(LEASE / 8 - A_MOMENT)
            with keeper.hold(third, Lease(), LONG):
                offered.clock.advance(A_MOMENT)
                keeper._renew_due()
                keeper._renew_due()

    assert renewed == [[first, second]]


def test_a_lease_that_is_renewed_lasts(watch: Watch) -> None:
    with watch.hold():
        revoked = [watch.after(LEASE / 4) for _ in range(40)]

    assert set(revoked) == {None}
    assert watch.renewals == 40


def test_an_attempt_that_was_fenced_is_stopped_at_the_next_renewal(watch: Watch) -> None:
    with watch.hold():
        watch.offered.ledger.offer(watch.offered.ledger.get("job-1"), _plan())

        assert watch.after(LEASE / 4) is Fenced


def test_an_attempt_stops_itself_when_three_quarters_of_its_lease_are_over_unrenewed(
    watch: Watch,
) -> None:
    watch.offered.ledger.down()

    with watch.hold():
        early = watch.after(LEASE * 0.75 - A_MOMENT)
        late = watch.after(A_MOMENT)

    assert (early, late) == (None, CutOff)


def test_a_ledger_that_comes_back_in_time_is_forgiven(watch: Watch) -> None:
    with watch.hold():
        watch.offered.ledger.down()
        watch.after(LEASE / 2)
        watch.offered.ledger.up()
        watch.after(LEASE / 8)

        assert watch.after(LEASE / 2) is None
    assert watch.renewals == 2


def test_an_attempt_is_stopped_when_its_time_is_up(watch: Watch) -> None:
    with watch.hold(timeout=timedelta(seconds=5)):
        early = watch.after(timedelta(seconds=5) - A_MOMENT)
        late = watch.after(A_MOMENT)

    assert (early, late) == (None, TimedOut)


def test_an_attempt_that_does_not_notice_is_recorded_as_over_once(watch: Watch) -> None:
    with watch.hold(timeout=timedelta(seconds=5)):
        watch.after(timedelta(seconds=5))
        in_time = list(watch.overdue)
        for _ in range(3):
            watch.after(timedelta(seconds=OVERDUE_SECONDS))

    assert (in_time, watch.overdue) == ([], ["job-1"])


def test_an_attempt_that_is_over_is_held_no_more(watch: Watch) -> None:
    with watch.hold():
        held = watch.keeper.held()

    assert held == [(watch.claim, watch.lease)]
    assert watch.keeper.held() == []
    assert watch.after(LEASE) is None


def test_a_worker_that_stops_stops_every_job_at_its_next_step(watch: Watch) -> None:
    interrupted: list[object] = []
    lease = Lease(lambda thread, interrupt: interrupted.append(interrupt))

    with watch.keeper.hold(watch.claim, lease, LONG), lease.job_code():
        watch.keeper.release_all()
        during = list(interrupted)

    assert lease.revoked_by is Released
    assert during == []


def test_the_attempt_of_one_job_can_be_stopped_by_its_id(watch: Watch) -> None:
    with watch.hold():
        known = watch.keeper.revoke("job-1", CancelRequested)
        unknown = watch.keeper.revoke("job-2", CancelRequested)

    assert (known, unknown) == (True, False)
    assert watch.lease.revoked_by is CancelRequested


def test_a_hanging_ledger_does_not_keep_an_attempt_from_stopping() -> None:
    hangs = threading.Event()
    offered = OfferedJob()

    class HangingLedger:
        def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
            hangs.wait(60)
            return claims

    ledger: Any = HangingLedger()
    keeper = LeaseKeeper(
        ledger, offered.clock, lambda claim: None, ClaimReturns(offered.ledger, offered.clock)
    )
    lease = Lease()
    keeper.start()
    try:
        with keeper.hold(offered.claim(), lease, LONG):
            offered.clock.advance(LEASE * 0.75)

            wait_until(lambda: lease.revoked_by is Fenced, PATIENCE, "the attempt is fenced")
    finally:
        hangs.set()
        keeper.stop()


def cut_off(watch: Watch) -> None:
    """Let the ledger be away until the attempt has stopped."""
    watch.offered.ledger.down()
    watch.after(LEASE / 4)
    watch.after(LEASE / 2)
    assert watch.lease.revoked_by is CutOff


def test_a_claim_is_given_back_when_the_ledger_answers_again_and_nothing_is_charged(
    watch: Watch,
) -> None:
    with watch.hold():
        cut_off(watch)
    with pytest.raises(LedgerUnavailableError):
        watch.returns.settle()
    watch.offered.ledger.up()

    watch.returns.settle()

    job = watch.offered.ledger.get("job-1")
    assert (job.state, job.crashes, job.errors, job.releases) == (JobState.SCHEDULED, 0, 0, 1)
    assert watch.offered.kinds() == ["job.release"]
    assert watch.returns.count == 0


def test_a_claim_that_is_to_be_given_back_is_renewed_no_more(watch: Watch) -> None:
    with watch.hold():
        cut_off(watch)
        watch.offered.ledger.up()
        before = watch.renewals

        watch.after(LEASE / 4)

        assert watch.renewals == before


def test_a_claim_of_code_that_cannot_be_interrupted_is_given_back_all_the_same(
    watch: Watch,
) -> None:
    with watch.hold():
        cut_off(watch)
        watch.offered.ledger.up()
        watch.returns.settle()
        before = watch.offered.state()
        watch.after(timedelta(seconds=OVERDUE_SECONDS))
        watch.returns.settle()

        assert (before, watch.offered.state()) == (JobState.RUNNING, JobState.SCHEDULED)
    watch.returns.settle()
    assert watch.offered.ledger.get("job-1").releases == 1


def test_the_same_process_may_have_the_same_job_again_at_once(watch: Watch) -> None:
    with watch.hold():
        cut_off(watch)
        watch.offered.ledger.up()
        watch.after(timedelta(seconds=OVERDUE_SECONDS))
        watch.returns.settle()
        moved = watch.offered.ledger.offer(watch.offered.ledger.get("job-1"), _plan())
        assert moved is not None
        shown = Ticket("job-1", moved.epoch, "dramatiq", "default", "second", "worker", LEASE)
        again = watch.offered.ledger.claim(shown)
        assert again is not None
        newer = Lease()
        with watch.keeper.hold(again, newer, LONG):
            watch.returns.settle()
            watch.after(LEASE / 4)

            assert newer.revoked_by is None
            assert watch.offered.state() is JobState.RUNNING
    watch.returns.settle()
    assert watch.offered.state() is JobState.RUNNING


def test_an_attempt_whose_end_is_still_to_be_recorded_is_not_cut_off(watch: Watch) -> None:
    with watch.hold():
        watch.lease.end()
        watch.offered.ledger.down()
        watch.after(LEASE / 4)
        watch.after(LEASE)

        assert watch.lease.revoked_by is None
    assert watch.returns.count == 0


def test_a_process_that_stood_still_has_not_been_cut_off(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    with watch.hold():
        watch.offered.clock.advance(LEASE)
        watch.keeper._watch()
        watch.keeper._watch()

        assert watch.lease.revoked_by is Fenced
    assert watch.returns.count == 0
    # A child is killed for it, and can log nothing.
    assert ["job-1" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("answers", [True, False])
def test_a_claim_that_waited_behind_a_renewal_that_hung_is_given_back(*, answers: bool) -> None:
    offered, leases = OfferedJob(), (Lease(), Lease())
    returns = ClaimReturns(offered.ledger, offered.clock)

    class HangingLedger:
        """Takes most of a lease for its first answer, and hangs at the next."""

        def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
            if len(claims) > 1:
                keeper._watch()
                return claims
            offered.clock.advance(LEASE * 0.7)
            if not answers:
                raise LedgerUnavailableError
            return claims

    ledger: Any = HangingLedger()
    keeper = LeaseKeeper(ledger, offered.clock, lambda claim: None, returns)
    with keeper.hold(offered.claim(), leases[0], LONG):
        offered.clock.advance(LEASE / 4)
        with keeper.hold(offered.claim("job-2"), leases[1], LONG):
            keeper._renew_due()
            offered.clock.advance(LEASE * 0.05)
            keeper._renew_due()

            assert leases[1].revoked_by is CutOff
    assert returns.count >= 1


def test_a_renewal_that_is_refused_is_reported_once_with_its_traceback(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.offered.ledger.refuse_next(3)
    with watch.hold():
        for _ in range(3):
            watch.after(LEASE / 4 if not caplog.records else A_MOMENT)
        watch.after(A_MOMENT)

        assert watch.lease.revoked_by is None
    assert [bool(record.exc_info) for record in caplog.records if record.levelno > 20] == [True]


def test_the_time_that_the_ledger_was_away_is_no_time_of_the_jobs(watch: Watch) -> None:
    with watch.hold(timeout=LEASE / 2):
        watch.offered.ledger.down()
        watch.after(LEASE / 4)
        watch.after(LEASE / 4)
        watch.offered.ledger.up()
        early = watch.after(A_MOMENT)
        late = watch.after(LEASE / 4)

    assert (early, late) == (None, TimedOut)


def test_an_attempt_that_waits_for_the_ledger_is_not_stopped_for_its_time(watch: Watch) -> None:
    with watch.hold(timeout=timedelta(seconds=5)):
        watch.lease.calling_ledger()
        waiting = watch.after(timedelta(seconds=6))
        watch.lease.answered()

        assert (waiting, watch.after(A_MOMENT)) == (None, TimedOut)


def test_what_escapes_from_an_attempt_gives_its_claim_back(watch: Watch) -> None:
    with pytest.raises(ZeroDivisionError), watch.hold():
        raise ZeroDivisionError

    watch.returns.settle()

    assert (watch.offered.state(), watch.offered.ledger.get("job-1").errors) == (
        JobState.SCHEDULED,
        0,
    )


def _plan() -> OfferPlan:
    return OfferPlan("dramatiq", timedelta(seconds=10))


def test_nothing_is_looked_at_while_nothing_is_held(watch: Watch) -> None:
    renewer, watcher = _pauses(watch)
    with watch.hold():
        held = (renewer(), watcher())
    after_its_end = (renewer(), watcher())

    assert held == (LONGEST_SLEEP, LONGEST_SLEEP)
    assert after_its_end == (None, None)


def test_the_keeper_does_not_fall_asleep_between_short_attempts(watch: Watch) -> None:
    renewer, _ = _pauses(watch)
    with watch.hold():
        pass

    assert (renewer(), renewer()) == (LONGEST_SLEEP, None)


def test_the_keeper_sleeps_until_a_renewal_is_due_and_then_looks_often(watch: Watch) -> None:
    renewer, watcher = _pauses(watch)
    with watch.hold():
        watch.offered.clock.advance(LEASE / 4 - timedelta(milliseconds=100))
        before = renewer()
        watch.offered.clock.advance(timedelta(milliseconds=100))
        due = renewer()
        of_watcher = watcher()

    assert before == pytest.approx(0.1)
    assert due == LOOK_SECONDS
    assert of_watcher == LONGEST_SLEEP


def test_the_watcher_sleeps_until_a_time_limit_and_until_three_quarters_of_a_lease(
    watch: Watch,
) -> None:
    _, watcher = _pauses(watch)
    with watch.hold(timeout=timedelta(seconds=2)):
        watch.offered.clock.advance(timedelta(seconds=1.75))
        until_the_limit = watcher()
    with watch.hold():
        watch.offered.clock.advance(LEASE * 0.75 - timedelta(milliseconds=200))
        until_stale = watcher()

    assert until_the_limit == pytest.approx(0.25)
    assert until_stale == pytest.approx(0.2)


def test_what_is_held_wakes_a_keeper_that_sleeps() -> None:
    offered = OfferedJob()
    ledger, clock = offered.ledger, SystemClock()
    keeper = LeaseKeeper(ledger, clock, lambda claim: None, ClaimReturns(ledger, clock))
    claim = replace(offered.claim(), lease=timedelta(milliseconds=400))
    renewed = ledger.get("job-1").revision
    keeper.start()
    wait_until(lambda: _is_asleep(keeper._renewer), PATIENCE, "its sleep")

    with keeper.hold(claim, Lease(), LONG):
        wait_until(lambda: ledger.get("job-1").revision > renewed, PATIENCE, "a renewal")

    keeper.stop()


def _pauses(watch: Watch) -> tuple[Pause, Pause]:
    return watch.keeper._renewer._pause, watch.keeper._watcher._pause


def _is_asleep(thread: LoopThread) -> bool:
    return bool(thread._woken._cond._waiters)  # type: ignore[attr-defined]  # the library's own
