# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises about many offers that are made in one call."""

from collections.abc import Sequence
from datetime import timedelta

from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.bulk import BulkEngineAdapter
from failsoft.job_engine.records.message import Message
from failsoft.testing.engine_suite.bench import (
    DEADLINE,
    TOLERANCE,
    EngineBench,
    arrived,
    delivered,
    eventually,
    new_message,
    offer,
    settled,
    was_never_reached,
    was_not_taken,
)
from failsoft.testing.engine_suite.patience import patience
from failsoft.testing.engine_suite.stopwatch import Stopwatch

ELSEWHERE = QueueProfile("elsewhere")
MANY = 200


class BulkOfferPromises:
    """Each offer is delivered and answered as a single one.

    An engine that takes one at a time gets them one by one.
    """

    def test_each_of_many_offers_made_at_once_is_delivered_once(self, bench: EngineBench) -> None:
        """As it was sent, and each is answered in its place."""
        messages = [new_message(epoch=number) for number in range(1, MANY + 1)]

        answers = offer_many(bench, messages)

        assert answers == [None] * MANY
        assert _by_epoch(arrived(bench, messages)) == messages

    def test_offers_made_at_once_and_alone_stand_side_by_side(self, bench: EngineBench) -> None:
        """One way of offering takes nothing from the other."""
        messages = [new_message() for _ in range(5)]

        offer(bench, messages[0])
        answers = offer_many(bench, messages[1:4])
        offer(bench, messages[4])

        assert answers == [None] * 3
        assert set(delivered(bench, 5)) == set(messages)

    def test_many_offers_made_twice_are_taken_and_never_altered(self, bench: EngineBench) -> None:
        """Whether in one call or in two; the claim makes it harmless (R4)."""
        once, twice = new_message(), new_message()

        answers = [*offer_many(bench, [once, twice, twice]), *offer_many(bench, [twice, once])]

        assert answers == [None] * 5
        assert set(arrived(bench, [once, twice])) == {once, twice}

    def test_no_offers_at_all_are_no_error(self, bench: EngineBench) -> None:
        """There is nothing to answer, and nothing arrives."""
        assert offer_many(bench, []) == []
        assert settled(bench) == []

    def test_many_offers_to_another_queue_are_not_delivered_here(self, bench: EngineBench) -> None:
        """A worker serves the queue it was started for."""
        here, there = ([new_message() for _ in range(3)] for _ in range(2))

        offer_many(bench, there, ELSEWHERE)
        offer_many(bench, here)

        assert set(arrived(bench, here)) == set(here)

    def test_many_offers_to_a_stopped_server_all_fail_in_time(self, bench: EngineBench) -> None:
        """No later than a single one, and none is answered as if it had arrived."""
        offer_many(bench, [new_message()])
        bench.stop_server()

        answers, elapsed = _offer_in_time(bench)

        assert len(answers) == MANY
        assert all(was_not_taken(answer) for answer in answers)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_many_offers_that_were_never_sent_are_known_not_to_have_arrived(
        self, bench: EngineBench
    ) -> None:
        """To a server that refuses connections, by an engine that has none left."""
        bench.stop_server()
        _offer_in_time(bench)

        answers, elapsed = _offer_in_time(bench)

        in_doubt = [answer for answer in answers if not was_never_reached(answer)]
        assert len(answers) == MANY
        assert len(in_doubt) <= _most_cut_off(bench, elapsed)
        assert all(was_not_taken(answer) for answer in in_doubt)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_many_offers_are_taken_again_after_a_restart(self, bench: EngineBench) -> None:
        """Also where the server lost the scripts that were loaded into it."""
        offer_many(bench, [new_message()])
        bench.stop_server()
        _offer_in_time(bench)
        bench.start_server()
        messages = {new_message() for _ in range(3)}

        eventually(lambda: _are_taken(bench, messages), "many offers are taken again")

        eventually(lambda: messages <= set(delivered(bench, 3)), "they are delivered")


class FrozenBulkPromises:
    """Many offers to a server that does not answer return by their deadline (rule 16)."""

    def test_many_offers_to_a_frozen_server_all_fail_in_time(self, bench: EngineBench) -> None:
        """No later than a single one, and none is answered as if it had arrived."""
        offer_many(bench, [new_message()])
        bench.freeze_server()

        answers, elapsed = _offer_in_time(bench)

        assert len(answers) == MANY
        assert all(was_not_taken(answer) for answer in answers)
        assert elapsed <= DEADLINE + TOLERANCE


def offer_many(
    bench: EngineBench,
    messages: Sequence[Message],
    queue: QueueProfile | None = None,
    within: timedelta | None = None,
) -> list[EngineError | None]:
    """Offer messages as the dispatcher does, in one call if the engine can."""
    engine, queue = bench.engine, queue or bench.queue
    deadline = Deadline.after(SystemClock(), patience() if within is None else within)
    if not isinstance(engine, BulkEngineAdapter):
        return [_answer(bench, message, queue, deadline) for message in messages]
    try:
        return list(bench.call(lambda: engine.offer_many(messages, queue, deadline), deadline))
    except EngineError as error:
        # It says the same of all of them.
        return [error] * len(messages)


def _answer(
    bench: EngineBench, message: Message, queue: QueueProfile, deadline: Deadline
) -> EngineError | None:
    try:
        bench.call(lambda: bench.engine.offer(message, queue, deadline), deadline)
    except EngineError as error:
        return error
    return None


def _offer_in_time(bench: EngineBench) -> tuple[list[EngineError | None], timedelta]:
    messages = [new_message() for _ in range(MANY)]
    with Stopwatch() as watch:
        answers = offer_many(bench, messages, within=DEADLINE)
    return answers, watch.elapsed


def _most_cut_off(bench: EngineBench, elapsed: timedelta) -> int:
    """Return how many offers may have been under way when the time for all was up.

    One that is cut off there may have arrived, for all that its caller knows (rule 16).
    """
    one_by_one = not isinstance(bench.engine, BulkEngineAdapter)
    return 1 if one_by_one and elapsed >= DEADLINE else 0


def _are_taken(bench: EngineBench, messages: set[Message]) -> bool:
    answers = offer_many(bench, list(messages), within=DEADLINE)
    return answers == [None] * len(messages)


def _by_epoch(messages: list[Message]) -> list[Message]:
    return sorted(messages, key=lambda message: message.epoch)
