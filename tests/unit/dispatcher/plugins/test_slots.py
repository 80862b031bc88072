"""Slots run messages side by side, and say when the broker may forget one."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from queue import SimpleQueue

import pytest

from failsoft.engine_api import (
    Delivery,
    MessageRejectedError,
    QueueProfile,
    Slots,
    Submission,
    SystemClock,
    WorkerPost,
)
from tests.servers.processes import wait_until

LONG = 60


class Script:
    """A processor that claims, or does not, and runs until it is let go."""

    def __init__(self) -> None:
        self.claims = True
        self.raises = self.leaves_early = False
        self.let_go = threading.Event()
        self.may_begin = threading.Event()
        self.may_begin.set()
        self.begun: list[list[object]] = []
        self.rejected: list[MessageRejectedError] = []

    def process(
        self,
        wire: object,
        claimed: Callable[[], object] = lambda: None,
        left_code: Callable[[], object] | None = None,  # of what begins together
    ) -> None:
        if self.claims:
            claimed()
        if self.raises:
            raise RuntimeError("a processor that breaks")
        if left_code is not None and self.leaves_early:
            left_code()
        self.let_go.wait(LONG)

    def begin(self, deliveries: Sequence[Delivery]) -> Sequence[Callable[[], None]]:
        self.begun.append([each.wire for each in deliveries])
        self.may_begin.wait(LONG)
        return [partial(self.process, *each) for each in deliveries]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def slots(script: Script) -> Iterator[Slots]:
    post = WorkerPost(
        queue=QueueProfile("letters", slots=2),
        slots=2,
        boot_id="boot-1",
        grace=timedelta(seconds=5),
        clock=SystemClock(),
        process=script.process,
        reject=script.rejected.append,
        stop_job=lambda job_id: None,
        begin=script.begin,
    )
    slots = Slots(post)
    yield slots
    script.may_begin.set()
    script.let_go.set()
    slots.close()


def test_a_message_is_decided_while_its_attempt_runs(slots: Slots) -> None:
    assert slots.reserve(0)

    assert slots.process(b'{"v": 1}') is True

    assert slots.reserve(0)  # the other one
    assert not slots.reserve(0)


def test_a_slot_is_free_when_its_attempt_has_ended(slots: Slots, script: Script) -> None:
    for _ in range(2):
        slots.reserve(0)
        slots.process({"v": 1})

    script.let_go.set()

    assert slots.reserve(LONG)


def test_a_message_that_was_not_claimed_is_not_decided(slots: Slots, script: Script) -> None:
    script.claims = False
    script.let_go.set()
    slots.reserve(0)

    assert slots.process(b'{"v": 1}') is False


def test_a_processor_that_breaks_before_the_claim_frees_its_slot(
    slots: Slots, script: Script
) -> None:
    script.claims, script.raises = False, True

    for _ in range(3):
        assert slots.reserve(LONG)
        assert slots.process(b'{"v": 1}') is False


def test_a_processor_that_breaks_after_the_claim_is_decided_once(
    slots: Slots, script: Script
) -> None:
    script.raises = True
    decided = SimpleQueue[bool]()
    slots.reserve(0)

    slots.submit(b'{"v": 1}', decided.put)

    assert decided.get(timeout=LONG) is True
    assert slots.reserve(LONG)
    assert slots.reserve(LONG)
    assert decided.empty()


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000, b'"%s"' % (b"x" * 2000)])
def test_a_body_that_is_none_of_ours_takes_no_slot(
    slots: Slots, script: Script, body: bytes
) -> None:
    slots.reserve(0)

    assert slots.process(body) is True

    assert len(script.rejected) == 1
    assert slots.reserve(0)
    assert slots.reserve(0)


def test_messages_that_come_together_begin_together_and_are_decided_each(
    slots: Slots, script: Script
) -> None:
    first, second = SimpleQueue[bool](), SimpleQueue[bool]()
    assert slots.reserve_all(LONG) == 2

    slots.submit_all([Submission(b'{"v": 1}', first.put), Submission({"v": 2}, second.put)])

    assert (first.get(timeout=LONG), second.get(timeout=LONG)) == (True, True)
    assert script.begun == [[{"v": 1}, {"v": 2}]]
    assert not slots.reserve(0)
    script.let_go.set()
    assert [slots.reserve(LONG), slots.reserve(LONG)] == [True, True]


def test_a_slot_is_free_while_the_end_of_its_attempt_is_recorded(
    slots: Slots, script: Script
) -> None:
    script.leaves_early = True
    assert slots.reserve_all(LONG) == 2

    slots.submit_all([Submission({"v": number}, lambda _: None) for number in range(2)])
    assert slots.reserve(LONG)
    slots.submit({"v": 2}, lambda _: None)
    assert slots.reserve(LONG)
    slots.submit({"v": 3}, lambda _: None)

    wait_until(lambda: len(script.begun) == 3, LONG, "each has begun in a thread of its own")
    # Twice as many ends as slots are being recorded by now: what is claimed next would have no
    # thread.
    assert not slots.reserve(0.05)
    script.let_go.set()
    assert [slots.reserve(LONG), slots.reserve(LONG)] == [True, True]
    assert not slots.reserve(0)


@pytest.mark.parametrize("raises", [False, True])
def test_a_message_is_over_once_and_before_its_slot_is_free(
    slots: Slots, script: Script, *, raises: bool
) -> None:
    script.raises = raises
    script.let_go.set()
    over = SimpleQueue[Exception | None]()
    slots.reserve(0)
    slots.reserve(0)

    slots.submit_all([Submission({"v": 1}, lambda _: None, over.put)])

    assert slots.reserve(LONG)
    assert isinstance(over.get_nowait(), RuntimeError if raises else type(None))
    assert over.empty()


def test_of_messages_that_come_together_one_that_is_not_ours_takes_no_slot(
    slots: Slots, script: Script
) -> None:
    decided = SimpleQueue[bool]()
    slots.reserve_all(LONG)

    slots.submit_all([Submission(b"{", decided.put), Submission({"v": 2}, decided.put)])

    assert (decided.get(timeout=LONG), decided.get(timeout=LONG)) == (True, True)
    assert len(script.rejected) == 1
    assert slots.reserve(LONG)
    assert script.begun == [[{"v": 2}]]


def test_what_is_being_claimed_while_the_slots_close_is_run(slots: Slots, script: Script) -> None:
    decided = SimpleQueue[bool]()
    script.may_begin.clear()
    script.let_go.set()
    slots.reserve_all(LONG)
    slots.submit_all([Submission({"v": 1}, decided.put), Submission({"v": 2}, decided.put)])
    closing = threading.Thread(target=slots.close)
    closing.start()

    script.may_begin.set()

    closing.join(LONG)
    assert not closing.is_alive()
    assert (decided.get(timeout=LONG), decided.get(timeout=LONG)) == (True, True)
