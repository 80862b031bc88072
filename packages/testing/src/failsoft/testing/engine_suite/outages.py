# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises while its server is away, and when it is back."""

from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.testing.engine_suite.bench import (
    DEADLINE,
    TOLERANCE,
    EngineBench,
    delivered,
    eventually,
    failure_of,
    held,
    new_message,
    offer,
    offer_again_and_again,
    offer_in_time,
)


class OutagePromises:
    """An offer comes back by its deadline and says what is known of it (rule 16)."""

    def test_an_offer_to_a_stopped_server_fails_in_time(self, bench: EngineBench) -> None:
        """Known not to have arrived, or not known; never as if it had."""
        offer(bench, new_message())
        bench.stop_server()

        error, elapsed = failure_of(lambda: offer_in_time(bench, new_message()))

        assert isinstance(error, EngineUnavailableError | OfferUncertainError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_an_offer_that_was_never_sent_is_known_not_to_have_arrived(
        self, bench: EngineBench
    ) -> None:
        """To a server that refuses connections, by an engine that has none left."""
        bench.stop_server()
        failure_of(lambda: offer_in_time(bench, new_message()))

        error, elapsed = failure_of(lambda: offer_in_time(bench, new_message()))

        assert isinstance(error, EngineUnavailableError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_offers_are_taken_again_after_a_restart(self, bench: EngineBench) -> None:
        """By the same adapter, and delivered to the same worker."""
        offer(bench, new_message())
        assert len(delivered(bench, 1)) == 1
        bench.stop_server()
        failure_of(lambda: offer_in_time(bench, new_message()))
        bench.start_server()
        message = new_message()

        offer_again_and_again(bench, message)

        # What was acknowledged as the server stopped may be delivered again before it.
        eventually(lambda: message in delivered(bench, 1), "the offer is delivered")

    def test_offers_are_taken_again_after_a_restart_between_two_offers(
        self, bench: EngineBench
    ) -> None:
        """The connection died while no offer was made."""
        offer(bench, new_message())
        bench.stop_server()
        bench.start_server()
        message = new_message()

        offer_again_and_again(bench, message)

        eventually(lambda: message in delivered(bench, 1), "the offer is delivered")

    def test_a_probe_of_a_stopped_server_is_not_healthy(self, bench: EngineBench) -> None:
        """The probe reports it, and never raises."""
        bench.stop_server()

        health = _probe(bench)

        assert not health.healthy
        assert health.detail

    def test_a_probe_is_healthy_again_after_a_restart(self, bench: EngineBench) -> None:
        """Which is what closes the breaker."""
        bench.stop_server()
        _probe(bench)

        bench.start_server()

        eventually(lambda: _probe(bench).healthy, "a probe is healthy")

    def test_withdrawing_from_a_stopped_server_never_raises(self, bench: EngineBench) -> None:
        """Withdrawing is best effort."""
        message = new_message()
        offer(bench, message)
        bench.stop_server()

        bench.engine.withdraw(message, bench.queue)

    def test_a_stopped_server_holds_nothing_that_is_known(self, bench: EngineBench) -> None:
        """An engine that cannot be read reports no message as lost."""
        message = new_message()
        offer(bench, message)
        bench.stop_server()

        assert held(bench, message) is None


def _probe(bench: EngineBench) -> EngineHealth:
    return bench.engine.probe(bench.queue, Deadline.after(SystemClock(), DEADLINE))
