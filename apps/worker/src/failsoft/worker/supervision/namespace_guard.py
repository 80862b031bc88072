"""A worker checks that the namespace on its brokers is its ledger's.

It checks before it begins and repeatedly after that: a broker may have been away at first, and one
that lost its data gets the ledger's mark again, before another ledger can set its own.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.owners import refusal, taken
from failsoft.job_engine.ports.engine import Owner

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: How often a worker checks.
EVERY = timedelta(seconds=5)


class NamespaceGuard:
    """Checks the namespaces of one process's engines."""

    def __init__(
        self, engines: EngineSet, names: Sequence[str], refused: Callable[[], object]
    ) -> None:
        """Check some engines.

        Args:
            engines: The engines of the process.
            names: Those that it takes messages from, or offers to.
            refused: Called when a namespace is another ledger's that was never this one's.
        """
        self._engines = engines
        self._names = [name for name in names if name in engines]
        self._refused = refused
        self._ours: set[str] = set()
        self._logged: set[str] = set()

    def expect_ours(self) -> None:
        """Check before the work begins.

        Raises:
            NamespaceTakenError: A namespace is another ledger's.
        """
        for name in self._names:
            if self._owner(name) is Owner.ANOTHER:
                raise refusal(name)

    def check(self) -> None:
        """Check again; log a namespace that is another ledger's once."""
        for name in self._names:
            if self._owner(name) is not Owner.ANOTHER:
                self._logged.discard(name)
            elif name not in self._logged:
                self._logged.add(name)
                logger.error("%s", taken(name))
                # A worker whose namespace it was goes on: the ledger that came later gives way.
                if name not in self._ours:
                    self._refused()

    def _owner(self, name: str) -> Owner:
        owner = self._engines.owner(name)
        if owner is Owner.OURS:
            self._ours.add(name)
        return owner
