# ruff: noqa: S101 - a conformance suite asserts
"""What an engine promises of processes that are forked, as those of web servers are."""

import os
import warnings

from failsoft.job_engine.records.message import Message
from failsoft.testing.engine_suite.bench import EngineBench, arrived, eventually, new_message, offer


class ForkPromises:
    """A fork takes no connection of its parent's (rule 21)."""

    def test_a_forked_child_offers_over_a_connection_of_its_own(self, bench: EngineBench) -> None:
        """And the parent goes on with the one that it had."""
        before = new_message()
        offer(bench, before)

        message = offer_from_a_child(bench)
        after = new_message()
        offer(bench, after)

        assert set(arrived(bench, [before, message, after])) == {before, message, after}


def offer_from_a_child(bench: EngineBench) -> Message:
    """Let a forked child of this process offer a message through the same adapter."""
    message = new_message()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads is forked
        child = os.fork()
    if child == 0:
        try:
            offer(bench, message)
        finally:
            # An exit in order would end the parent's servers.
            os._exit(0)
    eventually(lambda: os.waitpid(child, os.WNOHANG) != (0, 0), "the child has ended")
    return message
