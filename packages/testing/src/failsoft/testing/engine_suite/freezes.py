# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises while its server is frozen: it takes calls and answers none."""

from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError
from failsoft.testing.engine_suite.bench import (
    DEADLINE,
    TOLERANCE,
    EngineBench,
    delivered,
    eventually,
    failure_of,
    new_message,
    offer,
    offer_again_and_again,
    offer_in_time,
)


class FreezePromises:
    """An offer to a server that does not answer returns by its deadline (rule 16)."""

    def test_an_offer_to_a_frozen_server_fails_in_time(self, bench: EngineBench) -> None:
        """Over a connection that was good a moment ago (RQ-18, MQ-01)."""
        offer(bench, new_message())
        bench.freeze_server()

        error, elapsed = failure_of(lambda: offer_in_time(bench, new_message()))

        assert isinstance(error, EngineUnavailableError | OfferUncertainError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_connecting_to_a_frozen_server_fails_in_time(self, bench: EngineBench) -> None:
        """The kernel accepts the connection, and the server does not answer (MQ-03)."""
        bench.freeze_server()

        error, elapsed = failure_of(lambda: offer_in_time(bench, new_message()))

        assert isinstance(error, EngineUnavailableError | OfferUncertainError)
        assert elapsed <= DEADLINE + TOLERANCE

    def test_each_offer_to_a_frozen_server_fails_in_time(self, bench: EngineBench) -> None:
        """One stuck call holds up no other."""
        bench.freeze_server()

        tries = [failure_of(lambda: offer_in_time(bench, new_message())) for _ in range(3)]

        assert all(error is not None for error, _ in tries)
        assert max(elapsed for _, elapsed in tries) <= DEADLINE + TOLERANCE

    def test_offers_are_taken_again_after_a_freeze(self, bench: EngineBench) -> None:
        """By the same adapter; what was uncertain may arrive late, and is void by then."""
        bench.freeze_server()
        failure_of(lambda: offer_in_time(bench, new_message()))
        bench.thaw_server()
        message = new_message()

        offer_again_and_again(bench, message)

        eventually(lambda: message in delivered(bench, 1), "the offer is delivered")
