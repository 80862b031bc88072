"""What an engine delivers becomes a claim, or nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.message import MAX_MESSAGE_BYTES, KeyRing
from failsoft.job_engine.records.states import JobState
from failsoft.testing import FrozenClock
from failsoft.worker.attempts.admission import Admission, WorkerIdentity
from tests.unit.worker.attempts.offered_job import QUEUE, Desk


class ClockWithVisitor(FrozenClock):
    """A clock on which something happens while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.visit: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.visit()


def admission(desk: Desk, *, engine: str = "rq", stopping: bool = False) -> Admission:
    return Admission(
        WorkerIdentity(engine, QUEUE, "boot"),
        desk.ledger,
        desk.keys,
        clock=desk.clock,
        listener=desk.told.append,
        stopping=lambda: stopping,
    )


def test_a_message_leads_to_a_claim_under_the_lease_of_its_queue() -> None:
    desk = Desk()
    message = desk.offer()

    claim = admission(desk).admit(message.to_wire())

    assert claim is not None
    assert (claim.job_id, claim.epoch, claim.attempt) == ("job-1", 1, 1)
    assert (claim.worker, claim.lease) == ("boot", QUEUE.lease)
    assert desk.state() is JobState.RUNNING
    assert [(event.kind, event.name) for event in desk.told] == [("job.claim", "work")]


def test_a_message_that_is_delivered_again_is_refused() -> None:
    desk = Desk()
    message = desk.offer()
    door = admission(desk)
    door.admit(message.to_wire())

    again = door.admit(message.to_wire())

    assert again is None
    assert desk.kinds() == ["job.claim", "message.refused"]


def test_a_message_of_an_older_epoch_is_refused() -> None:
    desk = Desk()
    desk.offer()
    stale = desk.keys.sign("job-1", 7, "rq")

    assert admission(desk).admit(stale.to_wire()) is None
    assert desk.kinds() == ["message.refused"]
    assert desk.state() is JobState.OFFERED


def test_a_job_that_a_limit_leaves_no_room_for_is_deferred_and_told_of() -> None:
    desk = Desk()
    one = Limits(Limit("a-key", 1))
    desk.claim("job-1", limits=one)
    message = desk.offer("job-2", limits=one)

    assert admission(desk).admit(message.to_wire()) is None
    assert desk.kinds() == ["job.defer"]
    assert "concurrency: 1 of 1 run" in str(desk.told[0].detail["reason"])
    assert desk.state("job-2") is JobState.SCHEDULED


def test_a_message_that_was_forged_is_rejected() -> None:
    desk = Desk()
    message = replace(desk.offer(), mac="0" * 64)

    assert admission(desk).admit(message.to_wire()) is None
    assert desk.kinds() == ["message.rejected"]
    assert desk.state() is JobState.OFFERED


def test_a_message_for_another_engine_is_rejected() -> None:
    desk = Desk()
    message = desk.offer()

    assert admission(desk, engine="dramatiq").admit(message.to_wire()) is None
    assert desk.kinds() == ["message.rejected"]


@pytest.mark.parametrize(
    "wire",
    [None, 7, [], {}, "no JSON", b"\xff\xfe", {"job_id": "job-1"}, "x" * (MAX_MESSAGE_BYTES + 1)],
)
def test_what_is_no_message_of_ours_is_rejected_and_counted(wire: object) -> None:
    desk = Desk()

    assert admission(desk).admit(wire) is None
    assert desk.kinds() == ["message.rejected"]
    assert desk.told[0].engine == "rq"


def test_a_ledger_that_is_away_is_waited_for() -> None:
    clock = ClockWithVisitor()
    desk = Desk(clock)
    message = desk.offer()
    desk.ledger.down()
    clock.visit = desk.ledger.up

    claim = admission(desk).admit(message.to_wire())

    assert claim is not None
    assert len(clock.slept) == 1


def test_keys_that_cannot_be_read_are_waited_for() -> None:
    desk = Desk()
    message = desk.offer()
    desk.keys = KeyRing(desk.ledger.signing_keys, desk.clock)
    desk.ledger.fail_next()

    claim = admission(desk).admit(message.to_wire())

    assert claim is not None
    assert len(desk.clock.slept) == 1


def test_a_claim_whose_reply_was_lost_is_the_same_claim() -> None:
    desk = Desk()
    message = desk.offer()
    desk.ledger.lose_replies()

    claim = admission(desk).admit(message.to_wire())

    assert claim is not None
    assert desk.ledger.get("job-1").claims == 1
    assert desk.kinds() == ["job.claim"]


def test_a_worker_that_stops_does_not_wait_for_the_ledger() -> None:
    desk = Desk()
    message = desk.offer()
    desk.ledger.down()

    claim = admission(desk, stopping=True).admit(message.to_wire())

    assert claim is None
    assert desk.told == []
    assert desk.clock.slept == []


def test_a_claim_whose_reply_was_lost_is_given_back_when_the_worker_stops() -> None:
    desk, doubtful = Desk(), list[Ticket]()
    message = desk.offer()
    stopping = iter([False, True])

    def lose_it() -> bool:
        desk.ledger.down()
        return next(stopping, True)

    desk.ledger.lose_replies()
    admission = Admission(
        WorkerIdentity("rq", QUEUE, "boot-1"),
        desk.ledger,
        desk.keys,
        clock=desk.clock,
        listener=desk.told.append,
        stopping=lose_it,
        give_back=doubtful.append,
    )
    desk.keys.verify(message, "rq")

    assert admission.admit(message.to_wire()) is None
    assert [ticket.job_id for ticket in doubtful] == ["job-1"]


def test_what_the_ledger_refuses_costs_a_message_and_not_the_slot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk, doubtful = Desk(), list[Ticket]()
    message = desk.offer()
    desk.keys.verify(message, "rq")
    admission = Admission(
        WorkerIdentity("rq", QUEUE, "boot-1"),
        desk.ledger,
        desk.keys,
        clock=desk.clock,
        listener=desk.told.append,
        stopping=lambda: False,
        give_back=doubtful.append,
    )
    desk.ledger.refuse_next()

    assert admission.admit(message.to_wire()) is None
    assert any(record.exc_info for record in caplog.records)
    assert (desk.state(), len(doubtful)) == (JobState.OFFERED, 1)
