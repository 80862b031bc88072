# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger in an SQL database promises of a connection that a program lends."""

from collections.abc import Callable
from typing import Any

import pytest

from failsoft.job_engine.errors import JobNotFoundError, OptionInvalidError
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.transactional import BorrowedConnection
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import FIRST, new_job, plan


class BorrowedPromises:
    """`within` a `BorrowedConnection`: both or neither, and the connection stays its program's.

    It needs two fixtures: `driver`, a connection to the ledger's database that commits each
    statement until it is told to `BEGIN`; and `elsewhere`, one to another database.
    """

    def test_the_job_is_there_if_the_transaction_commits(self, ledger: Ledger, driver: Any) -> None:
        """No other connection sees it before."""
        then, hooks = list[bool](), list[Callable[[], None]]()
        driver.execute("BEGIN")
        caller = ledger.within(BorrowedConnection(driver, after_commit=hooks.append))
        job, created = caller.record_job(new_job(), plan())
        caller.when_over(then.append)

        assert created
        with pytest.raises(JobNotFoundError):
            ledger.get(job.id)
        driver.execute("COMMIT")

        assert (ledger.get(job.id).state, ledger.get(job.id).engine) == (JobState.OFFERED, FIRST)
        assert then == []
        for hook in hooks:
            hook()
        assert then == [True]

    def test_a_rollback_leaves_nothing(self, ledger: Ledger, driver: Any) -> None:
        """Neither the job nor its history."""
        driver.execute("BEGIN")
        caller = ledger.within(BorrowedConnection(driver, after_commit=lambda then: None))
        job, _ = caller.record_job(new_job(), None)
        driver.execute("ROLLBACK")

        assert not ledger.events(job.id)
        with pytest.raises(JobNotFoundError):
            ledger.get(job.id)

    def test_a_key_is_found_in_the_transaction(self, ledger: Ledger, driver: Any) -> None:
        """A second dispatch in it finds the job of the first, which nobody else sees."""
        info: dict[Any, Any] = {}
        driver.execute("BEGIN")
        found = [
            ledger.within(
                BorrowedConnection(driver, after_commit=lambda then: None, info=info)
            ).record_job(new_job(idempotency_key="k"), None)
            for _ in range(2)
        ]
        driver.execute("COMMIT")

        assert [created for _, created in found] == [True, False]
        assert len({job.id for job, _ in found}) == 1

    def test_the_connection_stays_as_it_was(self, ledger: Ledger, driver: Any) -> None:
        """It is open, in the same transaction, and its rows have the form that they had."""
        driver.execute("BEGIN")
        before = driver.execute("SELECT 1 AS one").fetchone()
        ledger.within(BorrowedConnection(driver, after_commit=lambda then: None)).record_job(
            new_job(), None
        )
        after = driver.execute("SELECT 1 AS one").fetchone()
        driver.execute("ROLLBACK")

        assert (type(after), after) == (type(before), before)

    def test_a_connection_in_no_transaction_is_refused(self, ledger: Ledger, driver: Any) -> None:
        """It would commit the job at once, and tell nobody."""
        with pytest.raises(OptionInvalidError, match="in a transaction"):
            ledger.within(BorrowedConnection(driver, after_commit=lambda then: None))

    def test_another_database_is_refused(self, ledger: Ledger, elsewhere: Any) -> None:
        """Nothing is written to it, and the message names both."""
        elsewhere.execute("BEGIN")

        with pytest.raises(OptionInvalidError, match=r"expected a .*, got .*"):
            ledger.within(BorrowedConnection(elsewhere, after_commit=lambda then: None))

    def test_what_is_no_connection_is_refused(self, ledger: Ledger) -> None:
        """The message says what it takes."""
        with pytest.raises(OptionInvalidError, match=r"Connection on the ledger's .*, got a"):
            ledger.within(BorrowedConnection(object(), after_commit=lambda then: None))
