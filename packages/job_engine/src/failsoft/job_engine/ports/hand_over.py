"""The contract of a ledger that hands over many offers at once; see `ports`."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan


class HandOverLedger(Protocol):
    """The offers that wait at an engine, and their move to another one.

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def oldest_offers(self) -> Sequence[JobRecord]:
        """Return the offer of each engine and queue whose pickup deadline comes first."""
        ...

    def begun_lately(self, engine: str, within: timedelta) -> bool:
        """Return whether an attempt runs that claimed an offer to the engine so shortly ago.

        By the database's clock. Attempts that have ended are not looked at.
        """
        ...

    def movable(
        self, engine: str, queue: str, limit: int, *, to: Collection[str], handoffs_below: int
    ) -> Sequence[JobRecord]:
        """Return offers that another engine may get, whether their deadline has passed or not.

        Args:
            engine: The engine that has them.
            queue: Their queue.
            limit: How many at most, those with the nearest deadline first.
            to: The other engines; each job may run on one of them.
            handoffs_below: Jobs that were handed over so often stay where they are (rule 18).
        """
        ...

    def offer_many(self, seen: Sequence[JobRecord], plan: OfferPlan) -> Sequence[JobRecord]:
        """Hand over offered jobs with a new epoch each, in one commit; see `OfferLedger.offer`.

        Each is a compare-and-set of its own (rule 4): what was claimed, cancelled or handed over
        since it was seen is left as it is. If the reply is lost, those that it would have named are
        offered again after their pickup deadline, as after a crash before the send (R1).

        Args:
            seen: Jobs as they were seen, all `offered` to one engine.
            plan: The next offer of all of them.

        Returns:
            Those that were handed over, in the order of `seen`; all but their offer is as it was
            seen.
        """
        ...
