# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises while its server is away, and when it is back."""

from understudy.job_engine.clock import Deadline, SystemClock
from understudy.job_engine.errors import EngineUnavailableError, OfferUncertainError
from understudy.testing.engine_suite.bench import (
    DEADLINE,
    TOLERANCE,
    EngineBench,
    delivered,
    eventually,
    failure_of,
    need,
    new_message,
    offer,
    offer_again_and_again,
)


class OutagePromises:
    """An offer comes back by its deadline and says what is known of it (rule 16)."""

    def test_an_offer_to_a_stopped_server_fails_in_time(self, bench: EngineBench) -> None:
        """Known not to have arrived, or not known; never as if it had."""
        need(bench, "stopping")
        offer(bench, new_message())
        bench.stop_server()

        error, elapsed = failure_of(lambda: offer(bench, new_message()))

        assert isinstance(error, EngineUnavailableError | OfferUncertainError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_an_offer_that_was_never_sent_is_known_not_to_have_arrived(
        self, bench: EngineBench
    ) -> None:
        """To a server that refuses connections, by an engine that has none left."""
        need(bench, "stopping")
        bench.stop_server()
        failure_of(lambda: offer(bench, new_message()))

        error, elapsed = failure_of(lambda: offer(bench, new_message()))

        assert isinstance(error, EngineUnavailableError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_an_offer_to_a_frozen_server_fails_in_time(self, bench: EngineBench) -> None:
        """Over a connection that was good a moment ago (RQ-18, MQ-01)."""
        need(bench, "freezing")
        offer(bench, new_message())
        bench.freeze_server()

        error, elapsed = failure_of(lambda: offer(bench, new_message()))

        assert isinstance(error, EngineUnavailableError | OfferUncertainError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_connecting_to_a_frozen_server_fails_in_time(self, bench: EngineBench) -> None:
        """The kernel accepts the connection, and nobody answers (MQ-03)."""
        need(bench, "freezing")
        bench.freeze_server()

        error, elapsed = failure_of(lambda: offer(bench, new_message()))

        assert isinstance(error, EngineUnavailableError | OfferUncertainError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_each_offer_to_a_frozen_server_fails_in_time(self, bench: EngineBench) -> None:
        """One stuck call holds up no other."""
        need(bench, "freezing")
        bench.freeze_server()

        tries = [failure_of(lambda: offer(bench, new_message())) for _ in range(3)]

        assert all(error is not None for error, _ in tries)
        assert max(elapsed for _, elapsed in tries) <= DEADLINE + TOLERANCE

    def test_offers_are_taken_again_after_a_restart(self, bench: EngineBench) -> None:
        """By the same adapter, and delivered to the same worker."""
        need(bench, "stopping")
        offer(bench, new_message())
        before = delivered(bench, 1)
        bench.stop_server()
        failure_of(lambda: offer(bench, new_message()))
        bench.start_server()
        message = new_message()

        offer_again_and_again(bench, message)

        assert message in delivered(bench, len(before) + 1)

    def test_offers_are_taken_again_after_a_restart_that_nobody_noticed(
        self, bench: EngineBench
    ) -> None:
        """The connection died while no offer was made."""
        need(bench, "stopping")
        offer(bench, new_message())
        bench.stop_server()
        bench.start_server()
        message = new_message()

        offer_again_and_again(bench, message)

        eventually(lambda: message in delivered(bench, 1), "the offer is delivered")

    def test_offers_are_taken_again_after_a_freeze(self, bench: EngineBench) -> None:
        """By the same adapter; what was uncertain may arrive late, and is void by then."""
        need(bench, "freezing")
        bench.freeze_server()
        failure_of(lambda: offer(bench, new_message()))
        bench.thaw_server()
        message = new_message()

        offer_again_and_again(bench, message)

        eventually(lambda: message in delivered(bench, 1), "the offer is delivered")

    def test_a_probe_of_a_stopped_server_is_not_healthy(self, bench: EngineBench) -> None:
        """It says so, and never raises."""
        need(bench, "stopping")
        bench.stop_server()

        health = bench.engine.probe(bench.queue, Deadline.after(SystemClock(), DEADLINE))

        assert not health.healthy
        assert health.detail

    def test_a_probe_is_healthy_again_after_a_restart(self, bench: EngineBench) -> None:
        """Which is what closes the breaker."""
        need(bench, "stopping")
        bench.stop_server()
        deadline = Deadline.after(SystemClock(), DEADLINE)
        bench.engine.probe(bench.queue, deadline)

        bench.start_server()

        probe = bench.engine.probe
        eventually(lambda: probe(bench.queue, deadline).healthy, "a probe is healthy")

    def test_withdrawing_from_a_stopped_server_never_raises(self, bench: EngineBench) -> None:
        """It is a courtesy."""
        need(bench, "stopping")
        message = new_message()
        offer(bench, message)
        bench.stop_server()

        bench.engine.withdraw(message, bench.queue)
