"""`tx` steps: what a step writes and its record are there both, or neither (rule 11, I11)."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from tenacity import wait_none

from failsoft.job_engine import JobContext, RetryPolicy, StepTimeoutError
from failsoft.job_engine.attempt.interrupts import Fenced, HoldRequested
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.retrying_ledger import RetryingLedger
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.crash_points import HOOKS
from failsoft.job_engine.errors import (
    StepError,
    TransactionUnsupportedError,
)
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord, Ticket
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from tests.integration.lost_replies import LosesReplies
from tests.unit.support.attempts import exit_code_of_a_child

HOUR = timedelta(hours=1)
TWICE = RetryPolicy(max_attempts=2, wait=wait_none())


def pay(connection: Connection, amount: int) -> int:
    connection.execute(text("INSERT INTO payments (amount) VALUES (:amount)"), {"amount": amount})
    return amount


class Till:
    """A ledger whose database holds a business table, too."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.ledger = SqlLedger(self.database)
        self.job_id = secrets.token_hex(8)

    def open(self) -> None:
        upgrade(self.database)
        self.database.write(lambda c: c.execute(text("CREATE TABLE payments (amount INTEGER)")))
        self.ledger.record_job(
            NewJob(self.job_id, "pay", "default", "{}", "sha"), OfferPlan("rq", HOUR)
        )

    def claim(self) -> Claim:
        job = self.ledger.get(self.job_id)
        if job.claims:
            moved = self.ledger.offer(job, OfferPlan("rq", HOUR))
            assert moved is not None
            job = moved
        token = secrets.token_hex(16)
        claim = self.ledger.claim(
            Ticket(job.id, job.epoch, "rq", job.queue, token, "worker", timedelta(minutes=1))
        )
        assert claim is not None
        return claim

    def context(self) -> JobContext:
        lease = Lease(interrupt_thread)
        ledger = RetryingLedger(self.ledger, lease, SystemClock())
        return JobContext(self.claim(), ledger, lease, SystemClock())

    def written(self) -> tuple[list[int], list[str]]:
        """What stands in the business table, and the recorded steps."""
        query = text("SELECT amount FROM payments")
        amounts = self.database.read(lambda c: c.execute(query).scalars().all())
        return list(amounts), [step.name for step in self.ledger.steps(self.job_id)]


@pytest.fixture
def till(ledger_url: str) -> Iterator[Till]:
    made = Till(ledger_url)
    with closing(made.database):
        made.open()
        yield made


def test_work_and_record_are_committed_together(till: Till) -> None:
    ctx = till.context()

    assert ctx.run("pay", pay, 7, tx=True) == 7
    assert ctx.run("after", lambda: "on") == "on"

    assert till.written() == ([7], ["pay", "after"])


def test_a_recorded_step_is_not_done_again(till: Till) -> None:
    till.context().run("pay", pay, 7, tx=True)

    assert till.context().run("pay", pay, 8, tx=True) == 7
    assert till.written() == ([7], ["pay"])


@pytest.mark.parametrize(
    ("point", "expected"),
    [("body.after", ([], [])), ("step.before", ([], [])), ("step.after", ([7], ["pay"]))],
)
def test_a_worker_that_is_killed_leaves_both_or_neither(
    till: Till, point: str, expected: tuple[list[int], list[str]]
) -> None:
    def dies() -> int:
        HOOKS.append(lambda reached: os._exit(9) if reached == point else None)
        till.context().run("pay", pay, 7, tx=True)
        return 0

    assert exit_code_of_a_child(dies) == 9
    assert till.written() == expected

    assert till.context().run("pay", pay, 7, tx=True) == 7
    assert till.written() == ([7], ["pay"])


def test_a_lost_reply_to_the_commit_does_not_pay_twice(till: Till) -> None:
    till.ledger = LosesReplies(till.database)

    assert till.context().run("pay", pay, 7, tx=True) == 7
    assert till.written() == ([7], ["pay"])


def test_a_fenced_attempt_writes_nothing(till: Till) -> None:
    ctx = till.context()
    till.context()

    with pytest.raises(Fenced):
        ctx.run("pay", pay, 7, tx=True)

    assert till.written() == ([], [])


def test_the_ledger_itself_fences(till: Till) -> None:
    old = till.claim()
    till.claim()

    def work(connection: Connection) -> str:
        return str(pay(connection, 7))

    with pytest.raises(Fenced):
        till.ledger.record_in(old, StepRecord("pay", 0, StepKind.RUN, "null"), work)

    assert till.written() == ([], [])


def test_an_error_undoes_the_work_and_is_the_jobs_own(till: Till) -> None:
    def fails(connection: Connection) -> None:
        pay(connection, 7)
        raise IntegrityError("no such customer", None, ValueError("no such customer"))

    with pytest.raises(IntegrityError):
        till.context().run("pay", fails, tx=True)

    assert till.written() == ([], [])


def test_wrong_sql_is_the_jobs_error_and_no_outage_of_the_ledger(till: Till) -> None:
    def wrong(connection: Connection) -> None:
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    with pytest.raises((OperationalError, ProgrammingError), match="nowhere"):
        till.context().run("pay", wrong, tx=True)


def test_a_step_is_tried_again_in_a_new_transaction(till: Till) -> None:
    tries: list[int] = []

    def flaky(connection: Connection) -> int:
        tries.append(pay(connection, len(tries)))
        if len(tries) == 1:
            raise ConnectionError
        return len(tries)

    assert till.context().run("pay", flaky, tx=True, retry=TWICE) == 2
    assert till.written() == ([1], ["pay"])


def test_a_transaction_that_takes_too_long_is_undone(till: Till) -> None:
    def dawdles(connection: Connection) -> None:
        pay(connection, 7)
        clock, ends_at = SystemClock(), SystemClock().steady() + 5
        while clock.steady() < ends_at:
            clock.sleep(0.005)

    with pytest.raises(StepTimeoutError):
        till.context().run("pay", dawdles, tx=True, timeout=timedelta(milliseconds=50))

    assert till.written() == ([], [])


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_step_does_not_end_the_transaction_itself(till: Till, ending: str) -> None:
    def ends(connection: Connection) -> None:
        pay(connection, 7)
        getattr(connection, ending)()

    with pytest.raises(StepError, match="leave commit and rollback to the ledger"):
        till.context().run("pay", ends, tx=True)

    assert till.written() == ([], [])


def test_a_step_that_swallows_an_error_in_its_transaction_commits_nothing_half(till: Till) -> None:
    def swallows(connection: Connection) -> str:
        pay(connection, 7)
        with suppress(Exception), connection.begin_nested():
            connection.execute(text("INSERT INTO nowhere VALUES (1)"))
        return "done"

    assert till.context().run("pay", swallows, tx=True) == "done"
    assert till.written() == ([7], ["pay"])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda ctx: ctx.run("pay", pay, 7, tx=True, once=True), "`tx` without `once`"),
        (
            lambda ctx: ctx.run("pay", pay, 7, tx=True, timeout=timedelta(seconds=31)),
            "at most 0:00:30 for a `tx` step",
        ),
    ],
)
def test_contradictions_hold_the_job(
    till: Till, wrong: Callable[[JobContext], object], match: str
) -> None:
    with pytest.raises(HoldRequested, match=match):
        wrong(till.context())


def test_a_ledger_without_transactions_says_so() -> None:
    clock = FrozenClock()
    ledger = MemoryLedger(clock)
    ledger.record_job(NewJob("j", "pay", "default", "{}", "sha"), OfferPlan("rq", HOUR))
    claim = ledger.claim(Ticket("j", 1, "rq", "default", "c", "w", HOUR))
    assert claim is not None

    with pytest.raises(TransactionUnsupportedError, match="SQL ledger"):
        JobContext(claim, ledger, Lease(), clock).run("pay", pay, 7, tx=True)
