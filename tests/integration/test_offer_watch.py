"""A worker that waits for offers on PostgreSQL is notified, and never depends on it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import text

from failsoft.job_engine.ports.offered import OfferWatch
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite.fixtures import offered
from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, wait_until

ENGINE, QUEUE = "first", "default"
#: Longer than any wait of a test that is not woken may take.
LONG = 30.0
BRIEF = 0.05
SECOND = timedelta(seconds=1)

LISTENING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND query LIKE 'LISTEN %'"
)


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[SqlLedger]:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        yield SqlLedger(database)


def another(ledger: SqlLedger) -> SqlLedger:
    """The ledger as another process has it open."""
    return SqlLedger(Database(ledger.database.url.render_as_string(hide_password=False)))


def test_a_worker_that_waits_is_woken_by_another_process(ledger: SqlLedger) -> None:
    other = another(ledger)
    with closing(ledger.watch_offers(ENGINE, QUEUE)) as watch, closing(other.database):
        listens_now = watch.wait(LONG)
        nothing_yet = watch.wait(BRIEF)
        timer = threading.Timer(0.2, other.wake_workers, (ENGINE, QUEUE, SECOND))
        timer.start()
        began = time.monotonic()
        woken = watch.wait(LONG)
        lasted = time.monotonic() - began
        timer.join()

        assert (listens_now, nothing_yet, woken) == (True, False, True)
        assert watch.is_notified
        assert lasted < LONG / 2


def test_it_is_not_woken_for_other_engines_and_queues(ledger: SqlLedger) -> None:
    with closing(ledger.watch_offers(ENGINE, QUEUE)) as watch:
        watch.wait(LONG)
        ledger.wake_workers("second", QUEUE, SECOND)
        ledger.wake_workers(ENGINE, "another", SECOND)

        assert not watch.wait(BRIEF)


def test_nothing_is_sent_to_a_worker_that_has_enough_to_do(ledger: SqlLedger) -> None:
    with closing(ledger.watch_offers(ENGINE, QUEUE)) as watch:
        watch.wait(LONG)
        watch.rest()
        ledger.wake_workers(ENGINE, QUEUE, SECOND)

        # It looks before it waits for the next one: that one may have come in between.
        assert not watch.is_notified
        assert watch.wait(LONG)
        assert not watch.wait(BRIEF)


def test_a_connection_that_is_lost_wakes_it_and_is_made_anew(
    ledger: SqlLedger, postgres: Postgres
) -> None:
    with closing(ledger.watch_offers(ENGINE, QUEUE)) as watch:
        watch.wait(LONG)
        postgres.terminate_backends(str(ledger.database.url.database))

        assert watch.wait(LONG)
        wait_until(lambda: not _is_notified(watch), PATIENCE, "it notices")
        wait_until(lambda: _is_notified(watch), PATIENCE, "it listens again")
        while watch.wait(BRIEF):
            pass
        ledger.wake_workers(ENGINE, QUEUE, SECOND)
        assert watch.wait(LONG)


def test_a_server_without_a_free_connection_is_no_error(
    ledger: SqlLedger, postgres: Postgres
) -> None:
    with closing(ledger.watch_offers(ENGINE, QUEUE)) as watch:
        postgres.stop()

        assert [watch.wait(BRIEF) for _ in range(2)] == [False, False]
        assert not watch.is_notified


def test_a_forked_child_leaves_the_connection_to_its_parent(ledger: SqlLedger) -> None:
    with closing(ledger.watch_offers(ENGINE, QUEUE)) as watch:
        watch.wait(LONG)
        child = os.fork()
        if child == 0:
            # Its own waits open a connection of its own, and its end closes none of the parent's.
            is_new = watch.wait(LONG) and watch.is_notified
            watch.close()
            os._exit(0 if is_new else 1)

        _, status = os.waitpid(child, 0)
        ledger.wake_workers(ENGINE, QUEUE, SECOND)

        assert status == 0
        assert watch.wait(LONG)


def test_it_takes_no_connection_of_the_pool_and_closes_its_own(ledger: SqlLedger) -> None:
    watch = ledger.watch_offers(ENGINE, QUEUE)
    watch.wait(LONG)
    count = lambda: ledger.database.read(lambda c: c.execute(LISTENING).scalar_one())  # noqa: E731
    before = count()
    pool = ledger.database.engine.pool
    in_use = pool.checkedout()  # type: ignore[attr-defined] - a pool that counts
    ledger.database.close()

    watch.close()

    assert (before, in_use) == (1, 0)
    wait_until(lambda: count() == 0, PATIENCE, "its connection is closed")


def test_behind_a_pooler_it_only_waits(
    ledger: SqlLedger, postgres_url: str, pgbouncer: PgBouncer
) -> None:
    url = f"{pgbouncer.by_pooler(postgres_url)}?pooler=transaction"
    with closing(Database(url)) as database:
        behind = SqlLedger(database)
        with closing(behind.watch_offers(ENGINE, QUEUE)) as watch:
            job = offered(behind, ENGINE)
            behind.wake_workers(ENGINE, QUEUE, SECOND)

            assert not watch.wait(BRIEF)
            assert not watch.is_notified
            assert behind.take_offers(ENGINE, QUEUE, 1) == [(job.id, job.epoch)]


def test_workers_that_take_at_the_same_time_are_given_each_offer_once(ledger: SqlLedger) -> None:
    jobs = {offered(ledger, ENGINE).id for _ in range(60)}
    begin, found = threading.Barrier(4), list[str]()

    def take() -> None:
        begin.wait()
        while taken := ledger.take_offers(ENGINE, QUEUE, 3):
            found.extend(job_id for job_id, _ in taken)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # One that looks while others have taken all that is left, and not yet committed it, is done.
    assert len(found) == len(set(found))
    assert set(found) == jobs


def _is_notified(watch: OfferWatch) -> bool:
    watch.wait(BRIEF)
    return watch.is_notified
