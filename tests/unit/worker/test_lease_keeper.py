"""Leases are renewed in time, and an attempt that has lost its lease is stopped."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.servers.processes import PATIENCE, wait_until
from tests.unit.worker.desk import LEASE, Desk
from understudy.job_engine.interrupts import (
    CancelRequested,
    CutOff,
    Fenced,
    Interrupt,
    Released,
    TimedOut,
)
from understudy.job_engine.lease import Lease
from understudy.job_engine.records import Claim
from understudy.job_engine.requests import OfferPlan
from understudy.worker.claim_returns import ClaimReturns
from understudy.worker.lease_keeper import OVERDUE_SECONDS, LeaseKeeper

LONG = timedelta(hours=1)
A_MOMENT = timedelta(milliseconds=1)


class Watch:
    """A keeper whose two threads look when the test says so."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.overdue: list[str] = []
        self.returns = ClaimReturns(self.desk.ledger, self.desk.clock, self.desk.told.append)
        self.keeper = LeaseKeeper(
            self.desk.ledger, self.desk.clock, self._note_overdue, self.returns
        )
        self.claim = self.desk.claim()
        self.lease = Lease()

    def _note_overdue(self, claim: Claim) -> None:
        self.overdue.append(claim.job_id)

    def hold(self, timeout: timedelta = LONG) -> Any:
        return self.keeper.hold(self.claim, self.lease, timeout)

    def after(self, span: timedelta) -> type[Interrupt] | None:
        """Let time pass, look, and return what the lease was revoked with."""
        self.desk.clock.advance(span)
        self.keeper._renew_due()
        self.keeper._watch()
        return self.lease.revoked_by

    @property
    def renewals(self) -> int:
        """How often the lease was renewed: each claim and each renewal moves the heartbeat."""
        return self.desk.ledger.get("job-1").hb - 1


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
    desk, asked = watch.desk, list[Sequence[Claim]]()

    class CountingLedger:
        def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
            asked.append(claims)
            return desk.ledger.renew(claims)

    ledger: Any = CountingLedger()
    keeper = LeaseKeeper(
        ledger, desk.clock, lambda claim: None, ClaimReturns(desk.ledger, desk.clock)
    )
    first, second, third = watch.claim, desk.claim("job-2"), desk.claim("job-3")
    with keeper.hold(first, Lease(), LONG):
        desk.clock.advance(LEASE / 8)
        with keeper.hold(second, Lease(), LONG):
            desk.clock.advance(LEASE / 8 - A_MOMENT)
            with keeper.hold(third, Lease(), LONG):
                desk.clock.advance(A_MOMENT)
                keeper._renew_due()
                keeper._renew_due()

    assert asked == [[first, second]]


def test_a_lease_that_is_renewed_lasts(watch: Watch) -> None:
    with watch.hold():
        revoked = [watch.after(LEASE / 4) for _ in range(40)]

    assert set(revoked) == {None}
    assert watch.renewals == 40


def test_an_attempt_that_was_fenced_is_stopped_at_the_next_renewal(watch: Watch) -> None:
    with watch.hold():
        watch.desk.ledger.offer(watch.desk.ledger.get("job-1"), _plan())

        assert watch.after(LEASE / 4) is Fenced


def test_an_attempt_stops_itself_when_three_quarters_of_its_lease_are_over_unrenewed(
    watch: Watch,
) -> None:
    watch.desk.ledger.down()

    with watch.hold():
        early = watch.after(LEASE * 0.75 - A_MOMENT)
        late = watch.after(A_MOMENT)

    assert (early, late) == (None, CutOff)


def test_a_ledger_that_comes_back_in_time_is_forgiven(watch: Watch) -> None:
    with watch.hold():
        watch.desk.ledger.down()
        watch.after(LEASE / 2)
        watch.desk.ledger.up()
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


def test_a_worker_that_stops_asks_for_every_job_at_its_next_step(watch: Watch) -> None:
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
    desk = Desk()

    class HangingLedger:
        def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
            hangs.wait(60)
            return claims

    ledger: Any = HangingLedger()
    keeper = LeaseKeeper(
        ledger, desk.clock, lambda claim: None, ClaimReturns(desk.ledger, desk.clock)
    )
    lease = Lease()
    keeper.start()
    try:
        with keeper.hold(desk.claim(), lease, LONG):
            desk.clock.advance(LEASE * 0.75)

            wait_until(lambda: lease.revoked_by is Fenced, PATIENCE, "the attempt is fenced")
    finally:
        hangs.set()
        keeper.stop()


def _plan() -> OfferPlan:
    return OfferPlan("dramatiq", timedelta(seconds=10))
