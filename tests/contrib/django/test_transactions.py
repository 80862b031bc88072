"""A task is recorded in Django's own transaction, after it, or beside it."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.testcases import TestCase

from failsoft.api import IdempotencyConflictError, OptionInvalidError, opened_dispatcher
from failsoft.contrib.django.compat import TaskResultDoesNotExist, TaskResultStatus
from failsoft.job_engine.records.job import TryOutcome
from failsoft.worker.wiring import App
from tests.contrib.django.project.shop import tasks

#: PostgreSQL has no such modes.
ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True, scope="module")


class RolledBackError(Exception):
    """Ends a transaction."""


def is_recorded(job_id: str) -> bool:
    """Return whether the ledger's own connections see a job."""
    dispatcher = opened_dispatcher()
    assert dispatcher is not None
    return dispatcher.holds(job_id)


def offers(app: App, job_id: str) -> list[tuple[str, TryOutcome]]:
    app.dispatcher.flush()
    return [(each.engine, each.outcome) for each in app.ledger.tries(job_id)]


def test_a_rollback_leaves_no_job(app: App) -> None:
    ids = list[str]()
    with suppress(RolledBackError), transaction.atomic():
        ids.append(tasks.add.enqueue(1).id)
        raise RolledBackError

    assert not is_recorded(ids[0])
    with pytest.raises(TaskResultDoesNotExist):
        tasks.add.get_result(ids[0])


def test_before_the_commit_no_other_connection_sees_it(app: App) -> None:
    with transaction.atomic():
        result = tasks.add.enqueue(1)
        assert result.enqueued_at is not None
        assert not is_recorded(result.id)

    assert is_recorded(result.id)
    assert result == tasks.add.get_result(result.id)


def test_after_the_commit_it_is_offered(app: App) -> None:
    with transaction.atomic():
        result = tasks.joined.enqueue(1)

    assert offers(app, result.id) == [("memory", TryOutcome.ACCEPTED)]


def test_a_savepoint_that_is_rolled_back_takes_its_jobs_along(app: App) -> None:
    inner = list[str]()
    with transaction.atomic():
        with suppress(RolledBackError), transaction.atomic():
            inner.append(tasks.add.enqueue(1).id)
            raise RolledBackError
        with transaction.atomic():
            nested = tasks.add.enqueue(3)
        outer = tasks.add.enqueue(2)

    assert not is_recorded(inner[0])
    assert offers(app, outer.id) == [("memory", TryOutcome.ACCEPTED)]
    assert offers(app, nested.id) == [("memory", TryOutcome.ACCEPTED)]


def test_the_job_and_the_rows_of_the_program_are_one_commit(app: App) -> None:
    connection = connections["default"]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE shop_order (job varchar(64))")
    with transaction.atomic(), connection.cursor() as cursor:
        result = tasks.add.enqueue(1)
        cursor.execute("INSERT INTO shop_order VALUES (%s)", [result.id])
        cursor.execute("SELECT state FROM failsoft_jobs WHERE id = %s", [result.id])
        assert cursor.fetchall() == [("offered",)]

    with connection.cursor() as cursor:
        cursor.execute("SELECT job FROM shop_order JOIN failsoft_jobs ON job = id")
        assert cursor.fetchall() == [(result.id,)]


def test_a_key_that_is_used_in_the_transaction_is_found_there(app: App) -> None:
    with transaction.atomic():
        first = tasks.add.using(idempotency_key="k").enqueue(1)
        session = connections["default"]
        assert session.in_atomic_block
    again = tasks.add.using(idempotency_key="k").enqueue(1)

    assert again.id == first.id


def test_on_commit_waits_and_has_its_id_at_once(app: App) -> None:
    with transaction.atomic():
        result = tasks.add.using(transaction="on_commit").enqueue(1)
        assert result.enqueued_at is None
        with pytest.raises(TaskResultDoesNotExist):
            result.refresh()

    result.refresh()
    assert result.status == TaskResultStatus.READY
    assert offers(app, result.id) == [("memory", TryOutcome.ACCEPTED)]


def test_on_commit_with_a_key_that_is_taken_has_the_id_of_the_job_that_is_there(app: App) -> None:
    keyed = tasks.add.using(transaction="on_commit", idempotency_key="taken")
    first = tasks.add.using(idempotency_key="taken").enqueue(1)
    with transaction.atomic():
        again = keyed.enqueue(1)
        assert (again.id, again.enqueued_at) == (first.id, first.enqueued_at)
        with pytest.raises(IdempotencyConflictError, match=r"add:taken.*another key"):
            keyed.enqueue(2)

    again.refresh()
    assert again.args == [1]


def test_on_commit_with_a_key_that_is_taken_meanwhile(app: App) -> None:
    keyed = tasks.add.using(transaction="on_commit", idempotency_key="meanwhile")
    with transaction.atomic():
        waits, twice = keyed.enqueue(1), keyed.enqueue(1)
        first = tasks.add.using(transaction="join", idempotency_key="meanwhile").enqueue(1)

    assert waits.id == twice.id == first.id
    waits.refresh()
    assert waits.status == TaskResultStatus.READY


def test_on_commit_of_a_unique_task_that_is_there_gets_its_id_with_the_commit(app: App) -> None:
    first = tasks.one_at_a_time.enqueue(7)
    with transaction.atomic():
        again = tasks.one_at_a_time.using(transaction="on_commit").enqueue(7)

    assert again.id == first.id
    again.refresh()
    assert again.args == [7]


def test_what_is_wrong_is_refused_before_the_commit(app: App) -> None:
    late = tasks.add.using(transaction="on_commit", tags=("x" * 1000,))
    with pytest.raises(OptionInvalidError), transaction.atomic():
        late.enqueue(1)


def test_another_database_s_transaction_is_waited_for(app: App) -> None:
    with transaction.atomic(using="other"):
        # The default of the options, where another database's transaction cannot hold the job.
        connections["other"].settings_dict["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
        result = tasks.add.using(using="other").enqueue(1)
        assert not is_recorded(result.id)

    assert is_recorded(result.id)


def test_joining_another_database_s_transaction_is_refused(app: App) -> None:
    connections["other"].settings_dict["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
    before = app.ledger.counts()
    with (
        pytest.raises(OptionInvalidError, match=r"expected a .*ledger.*, got"),
        transaction.atomic(using="other"),
    ):
        tasks.joined.using(using="other").enqueue(1)

    assert app.ledger.counts() == before


def test_immediate_is_recorded_whatever_becomes_of_the_transaction(app: App) -> None:
    now = tasks.add.using(transaction="immediate")
    ids = list[str]()
    if app.ledger.database.is_sqlite:
        with pytest.raises(OptionInvalidError, match="got immediate"), transaction.atomic():
            now.enqueue(1)
        return
    with suppress(RolledBackError), transaction.atomic():
        ids.append(now.enqueue(1).id)
        assert is_recorded(ids[0])
        raise RolledBackError

    assert is_recorded(ids[0])


def test_a_broken_transaction_takes_no_job(app: App) -> None:
    before = app.ledger.counts()

    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            tasks.add.enqueue(1)

    assert app.ledger.counts() == before


def test_a_transaction_that_is_managed_by_hand_is_refused(app: App) -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(TransactionManagementError, match="managed by hand"):
            tasks.add.enqueue(1)
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


@ON_SQLITE
def test_sqlite_without_immediate_transactions_is_refused(app: App) -> None:
    connection = connections["default"]
    connection.close()
    connection.settings_dict["OPTIONS"].pop("transaction_mode")

    with (
        pytest.raises(OptionInvalidError, match='"transaction_mode": "IMMEDIATE"'),
        transaction.atomic(),
    ):
        tasks.joined.enqueue(1)


@ON_SQLITE
def test_sqlite_that_does_not_wait_for_the_disk_is_refused(app: App) -> None:
    connection = connections["default"]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=NORMAL")

    with pytest.raises(OptionInvalidError, match="synchronous=FULL"), transaction.atomic():
        tasks.joined.enqueue(1)


def test_django_s_own_connection_stays_as_it_was(app: App) -> None:
    connection = connections["default"]
    connection.ensure_connection()
    driver: Any = connection.connection
    if connection.vendor == "sqlite":
        assert isinstance(driver, sqlite3.Connection)
        driver.create_function("REGEXP", 2, lambda pattern, text: 42)
    with transaction.atomic():
        tasks.add.enqueue(1)
        assert connection.in_atomic_block

    assert connection.connection is driver
    assert connection.get_autocommit()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT 'a' REGEXP 'b'")
            assert cursor.fetchone() == (42,)
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_the_offer_is_a_callback_that_test_cases_capture(app: App) -> None:
    with transaction.atomic():
        captured: list[Callable[[], None]]
        with TestCase.captureOnCommitCallbacks() as captured:
            tasks.add.enqueue(1)
        with TestCase.captureOnCommitCallbacks(execute=True) as executed:
            undone = tasks.add.enqueue(1)
        transaction.set_rollback(True)

    assert (len(captured), len(executed)) == (1, 1)
    assert not is_recorded(undone.id)
