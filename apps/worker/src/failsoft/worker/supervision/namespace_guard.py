"""A worker looks whose the namespace is that it takes messages from, and works for no other ledger.

Before it begins, and again and again: a broker that was away then is asked when it is back, and one
that lost its data gets the ledger's mark again, before another ledger's could stand there.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.owners import refusal, taken
from failsoft.job_engine.ports.engine import Owner

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: How often a worker looks.
EVERY = timedelta(seconds=5)


class NamespaceGuard:
    """What one worker process knows of its engines' namespaces."""

    def __init__(
        self, engines: EngineSet, names: Sequence[str], refused: Callable[[], object]
    ) -> None:
        """Look after some engines.

        Args:
            engines: The engines of the process.
            names: Those that it takes messages from, or offers to.
            refused: Called when a namespace turns out to be another ledger's before it was seen
                to be this one's.
        """
        self._engines = engines
        self._names = [name for name in names if name in engines]
        self._refused = refused
        self._ours: set[str] = set()
        self._told: set[str] = set()

    def expect_ours(self) -> None:
        """Look before the work begins.

        Raises:
            NamespaceTakenError: A namespace is another ledger's.
        """
        for name in self._names:
            if self._look(name) is Owner.ANOTHER:
                raise refusal(name)

    def look(self) -> None:
        """Look again."""
        for name in self._names:
            if self._look(name) is not Owner.ANOTHER:
                self._told.discard(name)
            elif name not in self._told:
                self._told.add(name)
                logger.error("%s", taken(name))
                # One that was at work here goes on: whoever came later is to give way.
                if name not in self._ours:
                    self._refused()

    def _look(self, name: str) -> Owner:
        owner = self._engines.owner(name)
        if owner is Owner.OURS:
            self._ours.add(name)
        return owner
