"""What an engine delivers becomes a claim, or nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.message import MAX_MESSAGE_BYTES, KeyRing
from failsoft.testing import FrozenClock
from failsoft.worker.attempts.admission import Admission, Admitted, WorkerIdentity
from tests.unit.worker.attempts.offered_job import QUEUE, OfferedJob


class ClockWithVisitor(FrozenClock):
    """A clock on which something happens during a sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.visit: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.visit()


def admission(offered: OfferedJob, *, engine: str = "rq", stopping: bool = False) -> Admission:
    return Admission(
        WorkerIdentity(engine, QUEUE, "boot"),
        offered.ledger,
        offered.keys,
        clock=offered.clock,
        listener=offered.events.append,
        stopping=lambda: stopping,
    )


def test_a_message_leads_to_a_claim_under_the_lease_of_its_queue() -> None:
    offered = OfferedJob()
    message = offered.offer()

    claim = admission(offered).admit(message.to_wire())

    assert claim is not None
    assert (claim.job_id, claim.epoch, claim.attempt) == ("job-1", 1, 1)
    assert (claim.worker, claim.lease) == ("boot", QUEUE.lease)
    assert offered.state() is JobState.RUNNING
    assert [(event.kind, event.name) for event in offered.events] == [("job.claim", "work")]


def test_a_message_that_is_delivered_again_is_refused() -> None:
    offered = OfferedJob()
    message = offered.offer()
    door = admission(offered)
    door.admit(message.to_wire())

    again = door.admit(message.to_wire())

    assert again is None
    assert offered.kinds() == ["job.claim", "message.refused"]


def test_a_message_of_an_older_epoch_is_refused() -> None:
    offered = OfferedJob()
    offered.offer()
    stale = offered.keys.sign("job-1", 7, "rq")

    assert admission(offered).admit(stale.to_wire()) is None
    assert offered.kinds() == ["message.refused"]
    assert offered.state() is JobState.OFFERED


def test_a_job_that_a_limit_leaves_no_room_for_is_deferred_and_reported() -> None:
    offered = OfferedJob()
    one = Limits(Limit("a-key", 1))
    offered.claim("job-1", limits=one)
    message = offered.offer("job-2", limits=one)

    assert admission(offered).admit(message.to_wire()) is None
    assert offered.kinds() == ["job.defer"]
    assert "concurrency: 1 of 1 run" in str(offered.events[0].detail["reason"])
    assert offered.state("job-2") is JobState.SCHEDULED


def test_a_message_that_was_forged_is_rejected() -> None:
    offered = OfferedJob()
    message = replace(offered.offer(), mac="0" * 64)

    assert admission(offered).admit(message.to_wire()) is None
    assert offered.kinds() == ["message.rejected"]
    assert offered.state() is JobState.OFFERED


def test_a_message_for_another_engine_is_rejected() -> None:
    offered = OfferedJob()
    message = offered.offer()

    assert admission(offered, engine="dramatiq").admit(message.to_wire()) is None
    assert offered.kinds() == ["message.rejected"]


@pytest.mark.parametrize(
    "wire",
    [None, 7, [], {}, "no JSON", b"\xff\xfe", {"job_id": "job-1"}, "x" * (MAX_MESSAGE_BYTES + 1)],
)
def test_what_is_no_message_of_ours_is_rejected_and_counted(wire: object) -> None:
    offered = OfferedJob()

    assert admission(offered).admit(wire) is None
    assert offered.kinds() == ["message.rejected"]
    assert offered.events[0].engine == "rq"


def test_a_ledger_that_is_away_is_waited_for() -> None:
    clock = ClockWithVisitor()
    offered = OfferedJob(clock)
    message = offered.offer()
    offered.ledger.down()
    clock.visit = offered.ledger.up

    claim = admission(offered).admit(message.to_wire())

    assert claim is not None
    assert len(clock.slept) == 1


def test_keys_that_cannot_be_read_are_waited_for() -> None:
    offered = OfferedJob()
    message = offered.offer()
    offered.keys = KeyRing(offered.ledger.signing_keys, offered.clock)
    offered.ledger.fail_next()

    claim = admission(offered).admit(message.to_wire())

    assert claim is not None
    assert len(offered.clock.slept) == 1


def test_a_claim_whose_reply_was_lost_is_the_same_claim() -> None:
    offered = OfferedJob()
    message = offered.offer()
    offered.ledger.lose_replies()

    claim = admission(offered).admit(message.to_wire())

    assert claim is not None
    assert offered.ledger.get("job-1").claims == 1
    assert offered.kinds() == ["job.claim"]


def test_a_worker_that_stops_does_not_wait_for_the_ledger() -> None:
    offered = OfferedJob()
    message = offered.offer()
    offered.ledger.down()

    claim = admission(offered, stopping=True).admit(message.to_wire())

    assert claim is None
    assert offered.events == []
    assert offered.clock.slept == []


def test_a_claim_whose_reply_was_lost_is_given_back_when_the_worker_stops() -> None:
    offered, doubtful = OfferedJob(), list[Ticket]()
    message = offered.offer()
    stopping = iter([False, True])

    def lose_it() -> bool:
        offered.ledger.down()
        return next(stopping, True)

    offered.ledger.lose_replies()
    admission = Admission(
        WorkerIdentity("rq", QUEUE, "boot-1"),
        offered.ledger,
        offered.keys,
        clock=offered.clock,
        listener=offered.events.append,
        stopping=lose_it,
        give_back=doubtful.append,
    )
    offered.keys.verify(message, "rq")

    assert admission.admit(message.to_wire()) is None
    assert [ticket.job_id for ticket in doubtful] == ["job-1"]


def test_what_the_ledger_refuses_costs_a_message_and_not_the_slot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    offered, doubtful = OfferedJob(), list[Ticket]()
    message = offered.offer()
    offered.keys.verify(message, "rq")
    admission = Admission(
        WorkerIdentity("rq", QUEUE, "boot-1"),
        offered.ledger,
        offered.keys,
        clock=offered.clock,
        listener=offered.events.append,
        stopping=lambda: False,
        give_back=doubtful.append,
    )
    offered.ledger.refuse_next()

    assert admission.admit(message.to_wire()) is None
    assert any(record.exc_info for record in caplog.records)
    assert (offered.state(), len(doubtful)) == (JobState.OFFERED, 1)


class Decisions:
    """Where the job was when the engine was let go of its message."""

    def __init__(self, offered: OfferedJob) -> None:
        self.states: list[JobState] = []
        self._offered = offered

    def __call__(self) -> None:
        self.states.append(self._offered.state())


def test_the_engine_may_acknowledge_once_the_claim_is_recorded() -> None:
    offered = OfferedJob()
    message, decisions = offered.offer(), Decisions(offered)

    admission(offered).admit(message.to_wire(), decisions)

    assert decisions.states == [JobState.RUNNING]


def test_the_engine_may_acknowledge_a_message_that_leads_to_no_claim() -> None:
    offered = OfferedJob()
    offered.offer()
    stale, forged = offered.keys.sign("job-1", 7, "rq"), offered.keys.sign("job-1", 1, "dramatiq")
    decisions = Decisions(offered)

    for wire in (stale.to_wire(), forged.to_wire(), "no message"):
        assert admission(offered).admit(wire, decisions) is None

    assert decisions.states == [JobState.OFFERED] * 3


def test_the_engine_may_acknowledge_a_job_that_is_deferred() -> None:
    offered = OfferedJob()
    one = Limits(Limit("a-key", 1))
    offered.claim("job-2", limits=one)
    message, decisions = offered.offer(limits=one), Decisions(offered)

    assert admission(offered).admit(message.to_wire(), decisions) is None

    assert decisions.states == [JobState.SCHEDULED]


def test_the_engine_keeps_the_message_while_the_ledger_is_away() -> None:
    clock = ClockWithVisitor()
    offered = OfferedJob(clock)
    message, decisions = offered.offer(), Decisions(offered)
    offered.keys.verify(message, "rq")
    undecided = list[int]()

    def come_back() -> None:
        undecided.append(len(decisions.states))
        offered.ledger.up()

    clock.visit = come_back
    offered.ledger.down()

    admission(offered).admit(message.to_wire(), decisions)

    assert undecided == [0]
    assert decisions.states == [JobState.RUNNING]


def test_the_engine_keeps_the_message_of_a_worker_that_stops_without_the_ledger() -> None:
    offered = OfferedJob()
    message, decisions = offered.offer(), Decisions(offered)
    offered.ledger.down()

    admission(offered, stopping=True).admit(message.to_wire(), decisions)

    offered.ledger.up()
    assert decisions.states == []
    assert offered.state() is JobState.OFFERED


def test_of_messages_that_are_claimed_together_a_void_one_changes_no_other() -> None:
    offered = OfferedJob()
    wires = [offered.offer(f"job-{number}").to_wire() for number in (1, 2, 3)]
    stale = offered.keys.sign("job-2", 7, "rq").to_wire()
    decided = list[str]()
    messages = [
        Admitted(wire, partial(decided.append, name))
        for name, wire in (
            ("1", wires[0]),
            ("stale", stale),
            ("none", "no message"),
            ("3", wires[2]),
        )
    ]

    admission(offered).claim_together(messages)

    assert [each.claim.job_id if each.claim else None for each in messages] == [
        "job-1",
        None,
        None,
        "job-3",
    ]
    assert decided == ["1", "3"]
    assert offered.kinds() == ["job.claim", "job.claim"]
    assert offered.state("job-2") is JobState.OFFERED


def test_a_message_that_was_left_out_is_decided_by_itself() -> None:
    offered = OfferedJob()
    one = Limits(Limit("a-key", 1))
    messages = [
        Admitted(offered.offer("job-1").to_wire(), lambda: None),
        Admitted(offered.offer("job-2", limits=one).to_wire(), lambda: None),
    ]
    door = admission(offered)
    door.claim_together(messages)

    claim = door.admit(messages[1].wire, messages[1].claimed, messages[1].ticket)

    assert claim is not None
    assert claim.job_id == "job-2"


def test_claims_whose_reply_was_lost_are_found_by_their_tickets() -> None:
    offered = OfferedJob()
    first, second = offered.offer("job-1"), offered.offer("job-2")
    offered.keys.verify(first, "rq")
    messages = [Admitted(each.to_wire(), lambda: None) for each in (first, second)]
    door = admission(offered)
    offered.ledger.lose_replies()

    door.claim_together(messages)
    lost = offered.ledger.get("job-1").claims
    claims = [door.admit(each.wire, each.claimed, each.ticket) for each in messages]

    assert lost == 1
    assert [claim.job_id for claim in claims if claim] == ["job-1", "job-2"]
    assert offered.ledger.get("job-1").claims == 1
    assert offered.kinds() == ["job.claim", "job.claim"]


def test_an_engine_that_fails_to_acknowledge_keeps_no_other_claim_from_its_run() -> None:
    offered = OfferedJob()
    decisions = Decisions(offered)

    def fail() -> None:
        raise OSError("the connection was closed")

    messages = [
        Admitted(offered.offer("job-2").to_wire(), fail),
        Admitted(offered.offer("job-1").to_wire(), decisions),
    ]

    admission(offered).claim_together(messages)

    assert all(each.claim for each in messages)
    assert decisions.states == [JobState.RUNNING]
