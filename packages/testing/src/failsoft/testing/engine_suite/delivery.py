# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises about the offers it takes."""

import threading

from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.message import Message
from failsoft.testing.engine_suite.bench import (
    BRIEF,
    DEADLINE,
    EngineBench,
    arrived,
    delivered,
    eventually,
    held,
    new_message,
    offer,
    offer_again_and_again,
    settled,
)

ELSEWHERE = QueueProfile("elsewhere")


class DeliveryPromises:
    """At least once, to the right queue, unaltered, and not again once it was processed."""

    def test_an_engine_has_a_name(self, bench: EngineBench) -> None:
        """What the ledger stores, and what messages are signed for."""
        assert bench.engine.name
        assert bench.engine.name == bench.engine.name.strip().lower()

    def test_an_offer_is_delivered_as_it_was_sent(self, bench: EngineBench) -> None:
        """All five fields of it (rule 2)."""
        message = new_message()

        offer(bench, message)

        assert delivered(bench, 1) == [message]

    def test_the_longest_message_is_delivered_as_it_was_sent(self, bench: EngineBench) -> None:
        """As any other that `Message` allows."""
        message = new_message("Az_-" * 16, 2**31 - 1)

        offer(bench, message)

        assert delivered(bench, 1) == [message]

    def test_an_offer_made_twice_is_delivered_and_never_altered(self, bench: EngineBench) -> None:
        """Once or twice; the claim makes it harmless (R4)."""
        message = new_message()

        offer(bench, message)
        offer(bench, message)

        assert set(arrived(bench, [message])) == {message}

    def test_an_offer_that_was_processed_may_be_made_again(self, bench: EngineBench) -> None:
        """The engine keeps no mark that would drop it (R4)."""
        message = new_message()
        offer(bench, message)
        assert delivered(bench, 1) == [message]

        eventually(lambda: _arrives_again(bench, message), "the offer is delivered again")

    def test_each_of_many_offers_is_delivered(self, bench: EngineBench) -> None:
        """In whichever order."""
        messages = {new_message() for _ in range(20)}

        for message in messages:
            offer(bench, message)

        assert set(delivered(bench, 20)) == messages

    def test_offers_from_many_threads_are_all_delivered(self, bench: EngineBench) -> None:
        """A web server dispatches from each of its threads."""
        messages = {new_message() for _ in range(12)}

        _offer_from_threads(bench, messages)

        assert set(delivered(bench, 12)) == messages

    def test_every_epoch_of_a_job_is_an_offer_of_its_own(self, bench: EngineBench) -> None:
        """The ledger decides which of them is valid (rule 6)."""
        first, second = new_message("job-1", 1), new_message("job-1", 2)

        offer(bench, first)
        offer(bench, second)

        assert set(delivered(bench, 2)) == {first, second}

    def test_an_offer_to_another_queue_is_not_delivered_here(self, bench: EngineBench) -> None:
        """A worker serves the queue it was started for."""
        here, there = new_message(), new_message()

        offer(bench, there, ELSEWHERE)
        offer(bench, here)

        assert arrived(bench, [here]) == [here]

    def test_what_was_processed_is_not_delivered_again(self, bench: EngineBench) -> None:
        """Retries are the ledger's (rule 15)."""
        offer(bench, new_message())
        assert len(delivered(bench, 1)) == 1

        assert len(settled(bench)) == 1

    def test_a_message_whose_processor_raised_is_not_delivered_again(
        self, bench: EngineBench
    ) -> None:
        """The engine's own retries are off, and the worker goes on (rule 15, R21)."""
        first, second = new_message(), new_message()
        bench.break_processor()
        offer(bench, first)
        assert delivered(bench, 1) == [first]

        offer(bench, second)

        assert arrived(bench, [first, second]) == [first, second]

    def test_a_probe_finds_a_healthy_engine(self, bench: EngineBench) -> None:
        """By a real write that is delivered to no worker (rule 17)."""
        health = bench.engine.probe(bench.queue, Deadline.after(SystemClock(), DEADLINE))

        assert health.healthy, health.detail
        assert health.detail
        assert settled(bench) == []

    def test_a_probe_counts_what_waits(self, bench: EngineBench) -> None:
        """Or reports the count as unknown; never as none where a message waits."""
        deadline = Deadline.after(SystemClock(), DEADLINE)
        empty = bench.engine.probe(bench.queue, deadline)
        for _ in range(3):
            offer(bench, new_message())

        full = bench.engine.probe(bench.queue, deadline)

        assert (empty.backlog, full.backlog) in ((0, 3), (None, None))

    def test_an_engine_reports_what_it_holds_or_that_it_is_unknown(
        self, bench: EngineBench
    ) -> None:
        """A waiting message is never reported as lost, nor a missing one as waiting."""
        first, second, never = new_message(), new_message(), new_message()
        offer(bench, first)
        offer(bench, second)

        waiting = [held(bench, each) for each in (first, second, never)]
        assert set(delivered(bench, 2)) == {first, second}
        taken = [held(bench, each) for each in (first, second, never)]

        assert (waiting, taken) in (([True, True, False], [False] * 3), ([None] * 3, [None] * 3))

    def test_a_withdrawn_offer_takes_no_other_with_it(self, bench: EngineBench) -> None:
        """Whether or not it was delivered itself."""
        void, good = new_message(), new_message()
        offer(bench, void)
        offer(bench, good)

        bench.engine.withdraw(void, bench.queue)

        assert set(arrived(bench, [good])) in ({good}, {void, good})

    def test_withdrawing_what_was_never_offered_is_harmless(self, bench: EngineBench) -> None:
        """Withdrawing is best effort and never raises."""
        bench.engine.withdraw(new_message(), bench.queue)

    def test_a_withdrawn_offer_may_be_made_again(self, bench: EngineBench) -> None:
        """And is delivered then."""
        message = new_message()
        offer(bench, message)
        bench.engine.withdraw(message, bench.queue)

        offer(bench, message)

        assert set(delivered(bench, 1)) == {message}


def _arrives_again(bench: EngineBench, message: Message) -> bool:
    offer(bench, message)
    # Two copies, or more that came in one look.
    return message in delivered(bench, 2, BRIEF)[1:]


def _offer_from_threads(bench: EngineBench, messages: set[Message]) -> None:
    threads = [
        threading.Thread(target=offer_again_and_again, args=(bench, each)) for each in messages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
