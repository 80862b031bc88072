"""The outbox: a record is there if, and only if, the `tx` step that put it there is (rule 28)."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text, update

from failsoft.job_engine import JobContext
from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.retrying_ledger import RetryingLedger
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import StepError
from failsoft.job_engine.outbox import OutboxEntry, OutboxRecord, put_in_outbox
from failsoft.job_engine.records.job import Claim, Ticket
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.copying.run import copy
from failsoft.ledger.database.timestamps import microseconds
from failsoft.ledger.schema.tables import outbox
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import PUBLISHED_FOR, SqlPruner
from failsoft.ledger.verify import verify
from failsoft.testing import MemoryLedger
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from tests.integration.lost_replies import LosesReplies
from tests.servers.processes import PATIENCE

HOUR = timedelta(hours=1)


def emit(connection: Connection, *values: str, key: bytes | None = b"k") -> int:
    for value in values:
        put_in_outbox(OutboxRecord("stream", "orders", value.encode(), key))
    return len(values)


class Desk:
    """A ledger, and attempts whose steps put records into its outbox."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.ledger = SqlLedger(self.database)
        upgrade(self.database)

    def job(self) -> str:
        job_id = secrets.token_hex(8)
        plan = OfferPlan("rq", HOUR)
        self.ledger.record_job(NewJob(job_id, "emit", "default", "{}", "sha"), plan)
        return job_id

    def claim(self, job_id: str) -> Claim:
        job = self.ledger.get(job_id)
        if job.claims:
            moved = self.ledger.offer(job, OfferPlan("rq", HOUR))
            assert moved is not None
            job = moved
        token = secrets.token_hex(16)
        ticket = Ticket(job.id, job.epoch, "rq", job.queue, token, "worker", HOUR)
        claim = self.ledger.claim(ticket)
        assert claim is not None
        return claim

    def context(self, job_id: str | None = None) -> JobContext:
        lease = Lease(interrupt_thread)
        ledger = RetryingLedger(self.ledger, lease, SystemClock())
        return JobContext(self.claim(job_id or self.job()), ledger, lease, SystemClock())

    def waiting(self, limit: int = 100) -> list[OutboxEntry]:
        return list(self.ledger.outbox_waiting("stream", limit))

    def values(self) -> list[bytes | None]:
        return [each.record.value for each in self.waiting()]

    def violations(self) -> list[str]:
        return [each.found for checked in verify(self.database) for each in checked.violations]


@pytest.fixture
def desk(ledger_url: str) -> Iterator[Desk]:
    made = Desk(ledger_url)
    with closing(made.database):
        yield made


def test_what_a_step_puts_in_waits_with_all_that_it_has(desk: Desk) -> None:
    record = OutboxRecord("stream", "orders", b"\x00\xff", b"7", (("kind", b"new"),))
    ctx = desk.context()

    ctx.run("emit", lambda connection: put_in_outbox(record), tx=True)

    (entry,) = desk.waiting()
    assert entry.record == record
    assert (entry.job_id, entry.step, entry.refusals, entry.error) == (ctx.job_id, "emit", 0, None)
    assert len(entry.id) == 32
    assert desk.violations() == []


def test_records_wait_in_the_order_in_which_they_were_put_in(desk: Desk) -> None:
    desk.context().run("emit", emit, "1", "2", "3", tx=True)
    desk.context().run("emit", emit, "4", tx=True)

    assert desk.values() == [b"1", b"2", b"3", b"4"]
    assert len({each.id for each in desk.waiting()}) == 4


def test_a_step_that_raises_leaves_nothing_behind(desk: Desk) -> None:
    def fail(connection: Connection) -> None:
        emit(connection, "1")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        desk.context().run("emit", fail, tx=True)

    assert desk.values() == []


def test_a_step_that_is_done_again_after_a_lost_reply_puts_nothing_in_twice(desk: Desk) -> None:
    desk.ledger = LosesReplies(desk.database)

    assert desk.context().run("emit", emit, "1", tx=True) == 1
    assert desk.values() == [b"1"]


def test_a_job_that_is_carried_on_puts_nothing_in_again(desk: Desk) -> None:
    job_id = desk.job()
    desk.context(job_id).run("emit", emit, "1", tx=True)

    assert desk.context(job_id).run("emit", emit, "1", tx=True) == 1
    assert desk.values() == [b"1"]


def test_a_fenced_attempt_puts_nothing_in(desk: Desk) -> None:
    job_id = desk.job()
    late = desk.context(job_id)
    desk.context(job_id)

    with pytest.raises(Fenced):
        late.run("emit", emit, "1", tx=True)

    assert desk.values() == []


@pytest.mark.parametrize("tx", [False, None])
def test_outside_of_a_tx_step_nothing_can_be_put_in(tx: bool | None) -> None:
    with pytest.raises(StepError, match="expected a call within a `tx` step, got one outside"):
        put_in_outbox(OutboxRecord("stream", "orders", b"1"))


def test_a_plain_step_cannot_put_anything_in(desk: Desk) -> None:
    record = OutboxRecord("stream", "orders", b"1")

    with pytest.raises(StepError, match="`tx` step"):
        desk.context().run("emit", lambda: put_in_outbox(record))


def test_two_steps_that_wait_for_one_row_are_in_the_order_of_their_commits(
    postgres_url: str,
) -> None:
    """The first puts its record in before it waits for the row that the second has."""
    desk = Desk(postgres_url)
    row = text("UPDATE orders SET n = n + 1")
    has_row, has_put = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        assert has_row.wait(PATIENCE)
        emit(connection, "first")
        has_put.set()
        connection.execute(row)

    def second(connection: Connection) -> None:
        connection.execute(row)
        has_row.set()
        assert has_put.wait(PATIENCE)
        emit(connection, "second")

    with closing(desk.database):
        desk.database.write(lambda c: c.execute(text("CREATE TABLE orders AS SELECT 0 AS n")))
        contexts = [desk.context(), desk.context()]
        threads = [
            threading.Thread(target=ctx.run, args=("emit", fn), kwargs={"tx": True})
            for ctx, fn in zip(contexts, (first, second), strict=True)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join(PATIENCE)

        assert desk.values() == [b"second", b"first"]


def test_what_was_published_waits_no_more(desk: Desk) -> None:
    desk.context().run("emit", emit, "1", "2", tx=True)
    first, _ = desk.waiting()

    for _ in range(2):
        desk.ledger.outbox_published([first.seq])

    assert desk.values() == [b"2"]


def test_what_is_refused_holds_back_its_own_key_alone(desk: Desk) -> None:
    desk.context().run("emit", emit, "1", "2", tx=True)
    desk.context().run("emit", emit, "other", key=b"o", tx=True)
    desk.context().run("emit", emit, "none", key=None, tx=True)
    desk.ledger.outbox_refused(desk.waiting()[0].seq, "too large", HOUR)

    assert desk.values() == [b"other", b"none"]
    (load,) = desk.ledger.outbox_load()
    assert (load.engine, load.waiting, load.refused, load.error) == ("stream", 4, 1, "too large")
    assert timedelta(0) <= load.oldest < timedelta(minutes=1)


def test_what_was_refused_is_tried_again_after_its_pause(desk: Desk) -> None:
    desk.context().run("emit", emit, "1", "2", tx=True)
    desk.ledger.outbox_refused(desk.waiting()[0].seq, "no such topic", timedelta(0))

    first, second = desk.waiting()
    assert (first.refusals, first.error, second.refusals) == (1, "no such topic", 0)


def test_a_pause_that_a_clock_wrote_while_it_was_ahead_is_over(desk: Desk) -> None:
    desk.context().run("emit", emit, "1", tx=True)
    desk.ledger.outbox_refused(desk.waiting()[0].seq, "no such topic", HOUR)
    later = outbox.c.due_at + microseconds(timedelta(days=365))

    desk.database.write(lambda c: c.execute(update(outbox).values(due_at=later)))

    assert desk.values() == [b"1"]


def test_the_turn_is_one_relays_at_a_time(desk: Desk) -> None:
    ledger = desk.ledger
    assert ledger.outbox_turn("stream") is None
    assert ledger.take_outbox_turn("stream", None, "a 1")
    assert not ledger.take_outbox_turn("stream", None, "b 1")
    assert ledger.take_outbox_turn("stream", "a 1", "a 2")
    assert not ledger.take_outbox_turn("stream", "a 1", "b 1")
    assert ledger.outbox_turn("stream") == "a 2"
    assert ledger.outbox_turn("another") is None


def test_only_what_was_published_a_day_ago_is_pruned(desk: Desk) -> None:
    desk.context().run("emit", emit, "1", "2", "3", tx=True)
    first, second, _ = desk.waiting()
    desk.ledger.outbox_published([first.seq, second.seq])
    long_ago = outbox.c.published_at - microseconds(PUBLISHED_FOR + HOUR)
    older = update(outbox).where(outbox.c.seq == first.seq).values(published_at=long_ago)
    desk.database.write(lambda c: c.execute(older))
    pruner = SqlPruner(desk.database)

    assert [pruner.prune_outbox(10), pruner.prune_outbox(10)] == [1, 0]
    left = desk.database.read(lambda c: c.execute(text("SELECT seq FROM failsoft_outbox")).all())
    assert len(left) == 2


def test_verify_finds_a_record_whose_step_is_not_there(desk: Desk) -> None:
    ctx = desk.context()
    ctx.run("emit", emit, "1", tx=True)
    desk.database.write(lambda c: c.execute(text("DELETE FROM failsoft_steps")))

    assert [each for each in desk.violations() if "of step 'emit', and no step" in each]


def test_a_copy_has_what_waits_and_goes_on_with_new_numbers(
    tmp_path: Any, postgres_url: str
) -> None:
    source = Desk(f"sqlite:///{tmp_path}/ledger.db")
    source.context().run("emit", emit, "1", "2", tx=True)
    seen = source.waiting()
    target = Database(postgres_url)
    with closing(target), closing(source.database):
        copied = copy(source.database, target)
        assert copied.rows["outbox"] == 2
        desk = Desk(postgres_url)
        with closing(desk.database):
            assert desk.waiting() == seen
            desk.context().run("emit", emit, "3", tx=True)
            assert desk.values() == [b"1", b"2", b"3"]


def test_a_ledger_in_memory_has_no_such_transaction() -> None:
    assert not hasattr(MemoryLedger, "outbox_waiting")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"value": "text"}, "a value as bytes"),
        ({"value": b"x" * 900_001}, "a value of at most 900000 bytes, got 900001"),
        ({"key": "text"}, "a key as bytes"),
        ({"key": b"k" * 1025}, "a key of at most 1024 bytes"),
        ({"topic": ""}, "a topic of 1 to 249 characters"),
        ({"engine": ""}, "an engine's name"),
        ({"headers": (("failsoft-id", b"1"),)}, "headers that do not begin with failsoft-"),
        ({"headers": (("kind", "text"),)}, "header 'kind' as bytes"),
        ({"headers": (("kind", b""),) * 33}, "at most 32 headers, got 33"),
    ],
)
def test_what_no_broker_takes_is_refused_before_the_step_commits(
    given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(StepError, match=expected):
        OutboxRecord(**{"engine": "stream", "topic": "orders", "value": b"1", **given})
