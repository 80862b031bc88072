"""What a running attempt and its watcher share."""

import threading

import pytest

from failsoft.job_engine.attempt.interrupts import (
    CancelRequested,
    CutOff,
    Fenced,
    Interrupt,
    Released,
)
from failsoft.job_engine.attempt.lease import Lease
from tests.servers.processes import PATIENCE


class Interrupter:
    """Remembers what it interrupted."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, type[Interrupt] | None]] = []

    def __call__(self, thread_id: int, interrupt: type[Interrupt] | None) -> None:
        self.calls.append((thread_id, interrupt))


def test_an_attempt_goes_on_while_its_lease_stands() -> None:
    lease = Lease()

    lease.check()

    assert lease.revoked_by is None


def test_an_attempt_stops_at_its_next_look_once_the_lease_was_revoked() -> None:
    lease = Lease()

    lease.revoke(Fenced)

    assert lease.revoked_by is Fenced
    with pytest.raises(Fenced):
        lease.check()


def test_the_first_reason_stays() -> None:
    lease = Lease()

    lease.revoke(CancelRequested)
    lease.revoke(Fenced)

    assert lease.revoked_by is CancelRequested


def test_no_job_code_begins_once_the_lease_was_revoked() -> None:
    lease = Lease()
    lease.revoke(CancelRequested)

    with pytest.raises(CancelRequested), lease.job_code():
        pytest.fail("job code ran")


def test_job_code_is_interrupted_in_its_thread() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)

    with lease.job_code():
        lease.revoke(Fenced)

    assert interrupter.calls[0] == (threading.get_ident(), Fenced)


def test_an_interrupt_that_came_too_late_is_taken_back() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)

    with lease.job_code():
        lease.revoke(Fenced)

    assert interrupter.calls[-1] == (threading.get_ident(), None)


def test_job_code_is_left_alone_when_the_end_of_its_step_is_waited_for() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)

    with lease.job_code():
        lease.revoke(Released, immediately=False)
        assert interrupter.calls == []

    with pytest.raises(Released):
        lease.check()


def test_our_own_code_is_never_interrupted() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)

    with pytest.raises(Fenced), lease.job_code(), lease.our_code():  # noqa: PT012 - both are tried
        lease.revoke(Fenced)
        assert interrupter.calls == []


def test_our_own_code_ends_before_the_attempt_stops() -> None:
    lease, done = Lease(), []

    with pytest.raises(Fenced), lease.job_code(), lease.our_code():  # noqa: PT012 - both are tried
        lease.revoke(Fenced)
        done.append("the step is recorded")

    assert done == ["the step is recorded"]


def test_job_code_inside_our_own_is_interrupted_again() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)

    code = (lease.job_code(), lease.our_code(), lease.job_code())
    with pytest.raises(Fenced), code[0], code[1], code[2]:  # noqa: PT012 - all are tried
        lease.revoke(Fenced)
        assert interrupter.calls == [(threading.get_ident(), Fenced)]


def test_nothing_is_interrupted_after_the_job_code_has_ended() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)
    with lease.job_code():
        pass

    lease.revoke(Fenced)

    assert interrupter.calls == []


def test_an_error_of_job_code_comes_through() -> None:
    lease = Lease()

    with pytest.raises(ZeroDivisionError), lease.job_code(), lease.our_code(), lease.job_code():
        raise ZeroDivisionError


def test_an_error_is_not_replaced_by_the_interrupt() -> None:
    lease = Lease()

    with pytest.raises(ZeroDivisionError), lease.job_code(), lease.our_code():  # noqa: PT012 - both are tried
        lease.revoke(Released, immediately=False)
        raise ZeroDivisionError


def test_who_holds_the_lock_may_be_interrupted_by_a_signal_that_revokes() -> None:
    lease = Lease(lambda thread, interrupt: lease.revoke(Released))

    with lease.job_code():
        lease.revoke(Fenced)

    assert lease.revoked_by is Fenced


def test_a_watcher_in_another_thread_reaches_the_job() -> None:
    interrupter = Interrupter()
    lease = Lease(interrupter)
    with lease.job_code():
        watcher = threading.Thread(target=lease.revoke, args=(Fenced,))
        watcher.start()
        watcher.join(PATIENCE)

    assert interrupter.calls[0] == (threading.get_ident(), Fenced)


@pytest.mark.parametrize("lost", [Fenced, CutOff])
def test_a_lease_that_is_lost_stops_code_that_was_to_release_it_at_its_next_step(
    lost: type[Interrupt],
) -> None:
    sent: list[type[Interrupt] | None] = []
    lease = Lease(lambda thread, interrupt: sent.append(interrupt))

    with lease.job_code():
        lease.revoke(Released, immediately=False)
        lease.revoke(lost)
        during = list(sent)

    assert (lease.revoked_by, during) == (lost, [lost])
