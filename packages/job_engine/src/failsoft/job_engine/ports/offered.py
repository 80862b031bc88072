"""The contract of the ledger as an engine without a broker needs it."""

from collections.abc import Sequence
from typing import Protocol


class OfferedLedger(Protocol):
    """The offers that wait in the ledger.

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def offered(self, engine: str, queue: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return the job ids and epochs of an engine's offers, the most urgent first."""
        ...

    def count_offered(self, engine: str, queue: str) -> int:
        """Return how many offers of an engine wait in a queue."""
        ...
