"""The part of the ledger's contract that is about a caller's own transaction; see `ports`."""

from collections.abc import Callable
from typing import Protocol

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan


class CallersTransaction(Protocol):
    """A transaction that the caller has begun on the ledger's database, and will end."""

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in it; see `OfferLedger.record_job`."""
        ...

    def when_over(self, then: Callable[[bool], None]) -> None:
        """Call this once when the transaction is over, whether it was committed or not.

        Its argument says whether the transaction is over, or is about to be in another thread.
        A rescuer finds what was committed by a process that did not live to call it.
        """
        ...


class TransactionalLedger(Protocol):
    """The ledger as a dispatch within a caller's transaction needs it."""

    def within(self, session: object) -> CallersTransaction:
        """Work in the transaction of a session or a connection of the caller's.

        Raises:
            OptionInvalidError: If it is none that this ledger can use, or is on another database.
        """
        ...
