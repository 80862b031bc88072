"""The part of the ledger's contract that is about a caller's own transaction; see `ports`."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan


@dataclass(frozen=True, slots=True)
class BorrowedConnection:
    """A driver's own connection, in a transaction that its program has begun and will end.

    For programs that have no SQLAlchemy, as one of Django's: `session=BorrowedConnection(...)`.

    Attributes:
        driver: The connection: a `psycopg.Connection` or a `sqlite3.Connection`.
        after_commit: Calls what it is given once, after the transaction has committed; it need not
            after a rollback.
        info: What the ledger has found out about the connection; give the same one with every
            loan of it, and a new one with every other connection.
    """

    driver: Any
    _: KW_ONLY
    after_commit: Callable[[Callable[[], None]], object]
    info: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


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

        A driver's connection is lent as a `BorrowedConnection`.

        Raises:
            OptionInvalidError: If it is none that this ledger can use, or is on another database.
        """
        ...
