"""The contract of the rules that share jobs among engines, and of their guards."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from failsoft.job_engine.records.routing.guard import Delivery, Trip
from failsoft.job_engine.records.routing.rule import RouteKind, RouteRule


class RouteLedger(Protocol):
    """The rules of a ledger: one for each match, read live by every process (rule 24).

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def set_route(self, rule: RouteRule, lasts: timedelta | None = None) -> RouteRule:
        """Set a rule in the place of the one for its match; return what holds now.

        A share that the guard of that one took away less than `HYSTERESIS` ago stays away until
        then.

        Args:
            rule: The rule; its moments, trips and revision are the ledger's to make.
            lasts: How long it holds; None until it is cleared.
        """
        ...

    def clear_route(self, kind: RouteKind, name: str) -> bool:
        """Forget a rule and its trips; return whether it was there and held."""
        ...

    def routes(self) -> Sequence[RouteRule]:
        """Return the rules that hold now, with the trips that do; the strongest kind first."""
        ...

    def take_guard_turn(self, rule: RouteRule, every: timedelta) -> bool:
        """Take the next look at a guarded rule; False where another process took it.

        Args:
            rule: The rule as it was read.
            every: How long the turn keeps other processes from looking.
        """
        ...

    def deliveries(self, rule: RouteRule, engine: str, newest: int) -> Sequence[Delivery]:
        """Return what became of an engine's offers of the jobs that a rule matches.

        Of jobs recorded since the rule was set that do not name their own engines, the newest offer
        first. An offer that was moved away because the engine gets no offers is left out.

        Args:
            rule: The rule; its name decides, not whether a stronger one covers the job.
            engine: The engine.
            newest: How many of the newest jobs of the ledger to go through.
        """
        ...

    def trip_route(self, seen: RouteRule, trip: Trip) -> RouteRule | None:
        """Take a share away; None if the rule is no longer as it was seen (rule 4).

        Of several processes that see it at once, one succeeds.
        """
        ...
