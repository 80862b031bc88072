"""The contract of the ledger as an engine without a broker needs it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

#: How long an offer that a worker took is given to no other one, so that those of a queue do not
#: all claim the same job. The claim follows at once; one that does not is made by another worker.
TAKEN = timedelta(seconds=5)
#: So many offers are counted at most: a probe that counts them has a second.
MOST_COUNTED = 10_000


class OfferWatch(Protocol):
    """What a worker waits with when it finds no offer; for one thread."""

    @property
    def is_notified(self) -> bool:
        """Whether `wait` returns as soon as there is an offer."""
        ...

    def wait(self, seconds: float) -> bool:
        """Return whether there may be an offer, as soon as that is so or the time is over.

        Raises nothing: without a connection it waits for the whole time.
        """
        ...

    def rest(self) -> None:
        """Receive nothing until the next `wait`: there is more to do than the worker has slots."""
        ...

    def close(self) -> None:
        """Let go of what `wait` has opened."""
        ...


class OfferedLedger(Protocol):
    """The offers that wait in the ledger.

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def take_offers(self, engine: str, queue: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return the job ids and epochs of an engine's offers that may begin now.

        The most urgent come first, and of those that are alike the job that was recorded first.
        They stay offered, and for the time `TAKEN` no other call returns them.
        """
        ...

    def count_offers(self, engine: str, queue: str) -> int:
        """Return how many offers of an engine wait in a queue, up to `MOST_COUNTED`.

        Those that a worker took are among them until their claim.
        """
        ...

    def expect_writable(self, within: timedelta) -> None:
        """Write something that changes nothing, in so much time."""
        ...

    def wake_workers(self, engine: str, queue: str, within: timedelta) -> None:
        """Let the workers that wait for offers of a queue look now, where the database can."""
        ...

    def watch_offers(self, engine: str, queue: str) -> OfferWatch:
        """Return what a worker of a queue waits with; opens no connection yet."""
        ...
