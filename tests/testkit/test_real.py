"""What mode `real` has besides memory: the ledger's database; and what it cannot do."""

import os
from datetime import UTC, date, datetime, timedelta
from typing import cast

import pytest
from sqlalchemy import Connection, create_engine, text

from failsoft.api import ConfigurationError, JobContext, dispatch_job, job
from failsoft.testkit import Testkit
from failsoft.testkit.results import Failure
from tests.testkit.jobs import Nothing, Person, nap, send_welcome

pytestmark = pytest.mark.failsoft(mode="real")


def add(connection: Connection) -> int:
    connection.execute(text("INSERT INTO orders VALUES (1)"))
    count: int = connection.execute(text("SELECT count(*) FROM orders")).scalar_one()
    return count


@job()
def order(payload: Nothing, ctx: JobContext) -> int:
    return ctx.run("add", add, tx=True)


@job()
def whose(payload: Nothing, ctx: JobContext) -> int:
    return os.getpid()


def test_a_step_in_the_ledgers_transaction_outlives_a_death_in_it(failsoft: Testkit) -> None:
    engine = create_engine(failsoft.ledger_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
    handle = dispatch_job(order, Nothing())
    failsoft.die_during_step("add")

    assert failsoft.drain().died == 1
    failsoft.travel(minutes=2)
    failsoft.drain()

    assert handle.result() == 1
    engine.dispose()


def test_a_dispatch_in_a_transaction_of_the_tests(failsoft: Testkit) -> None:
    engine = create_engine(failsoft.ledger_url)
    with engine.connect() as connection:
        for end in (connection.rollback, connection.commit):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            dispatch_job(send_welcome, Person(), session=connection)
            end()
    engine.dispose()

    failsoft.assert_dispatched(send_welcome)
    failsoft.drain()
    failsoft.assert_state(failsoft.job(send_welcome), "succeeded")


@pytest.mark.failsoft(mode="real", start=datetime(2026, 3, 1, tzinfo=UTC))
def test_the_clock_begins_where_the_test_says_so(failsoft: Testkit) -> None:
    handle = dispatch_job(send_welcome, Person(), delay=timedelta(days=1))
    failsoft.drain(with_scheduled=True)

    failsoft.assert_state(handle, "succeeded")
    record = failsoft.ledger.get(handle.id)
    assert record.created_at.date() == date(2026, 3, 1)
    assert failsoft.ledger.attempts(handle.id)[0].started_at.date() == date(2026, 3, 2)


def test_attempts_run_in_processes_that_the_next_one_outlives(failsoft: Testkit) -> None:
    first, second = dispatch_job(whose, Nothing()), dispatch_job(whose, Nothing())
    failsoft.drain()
    failsoft.fail_engine("rq")
    failsoft.heal_engine("rq")
    failsoft.travel(seconds=30)
    third = dispatch_job(whose, Nothing())
    failsoft.drain()

    assert first.result() == second.result()
    assert len({first.result(), third.result(), os.getpid()}) == 3


def test_a_worker_waits_at_its_gate_for_each_message(failsoft: Testkit) -> None:
    handles = [dispatch_job(send_welcome, Person()) for _ in range(10)]

    failsoft.run_next()
    failsoft.stop_workers("rq")

    assert [len(failsoft.ledger.attempts(each.id)) for each in handles] == [1] + [0] * 9
    for each in handles:
        each.cancel()


@pytest.mark.parametrize("how", ["lost-reply", "forgets", "readonly"])
def test_a_server_does_not_fail_in_each_way(failsoft: Testkit, how: str) -> None:
    with pytest.raises(AssertionError) as raised:
        failsoft.fail_engine("rq", cast("Failure", how))

    assert str(raised.value) == (
        "expected 'refuse', 'silent' or 'no-workers' until heal_engine in real mode, got "
        f"'{how}': a server cannot be made to; run the test with mode='manual'"
    )


def test_a_server_does_not_fail_for_a_number_of_offers(failsoft: Testkit) -> None:
    with pytest.raises(AssertionError, match="got 'refuse' for 2 offers: a server cannot be"):
        failsoft.fail_engine("rq", times=2)


def test_a_job_that_no_worker_can_import(failsoft: Testkit) -> None:
    @job()
    def local(payload: Nothing, ctx: JobContext) -> None:
        return None

    with pytest.raises(ConfigurationError, match=r"got local \(tests.testkit.test_real.*<locals>"):
        dispatch_job(local, Nothing())


@pytest.mark.failsoft(mode="real", engines=("ledger", "rq"))
def test_an_engine_without_a_server_runs_jobs_and_does_not_fail(failsoft: Testkit) -> None:
    handle = dispatch_job(nap, Nothing())
    failsoft.drain()
    failsoft.assert_ran_on(handle, "ledger")

    with pytest.raises(AssertionError, match="got ledger, which has none; run the test with mode"):
        failsoft.fail_engine("ledger")
    handle.cancel()
