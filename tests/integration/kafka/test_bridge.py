"""Whole processes on a real broker: one job a record, and its records once for each id."""

import json
import signal
from collections import defaultdict

from failsoft.job_engine.records.states import JobState
from tests.integration.kafka.conftest import Site
from tests.servers.processes import PATIENCE, wait_until


def test_records_become_jobs_whose_records_are_published_in_order(site: Site) -> None:
    site.start("kafka", "default")
    site.start("kafka", "@bridge")
    site.pay(*({"order": n} for n in range(30)))

    assert site.wait_for_orders(30) == list(range(30))
    wait_until(lambda: len(site.published()) >= 30, PATIENCE, "30 records")

    found = site.published()
    assert sorted(json.loads(each.value() or b"")["order"] for each in found) == list(range(30))
    assert len(set(site.ids())) == 30
    by_key = defaultdict(set)
    for each in found:
        by_key[each.key()].add(each.partition())
    assert all(len(partitions) == 1 for partitions in by_key.values())
    wait_until(lambda: site.committed() == 30, PATIENCE, "the offsets are committed")
    wait_until(lambda: not site.ledger.outbox_load(), PATIENCE, "the outbox is empty")
    assert site.violations() == []


def test_a_consumer_that_is_killed_between_record_and_commit_leaves_one_job_a_record(
    site: Site,
) -> None:
    site.pay(*({"order": n} for n in range(10)))
    killed = site.start("kafka", "@bridge", killed_at="dispatch.after")
    wait_until(lambda: not killed.is_running, PATIENCE, "it is killed")
    before = site.orders()
    assert before
    assert site.committed() == 0

    site.start("kafka", "@bridge")
    site.pay({"order": 10})

    assert site.wait_for_orders(11) == list(range(11))
    wait_until(lambda: site.committed() == 11, PATIENCE, "the offsets are committed")
    assert site.orders() == list(range(11))
    assert site.violations() == []


def test_records_of_a_process_that_was_killed_after_its_commit_are_published(site: Site) -> None:
    """The worker dies as soon as the ledger has the step; no bridge runs by then."""
    site.pay({"order": 1}, {"order": 2})
    bridge = site.start("kafka", "@bridge")
    site.wait_for_orders(2)
    bridge.signal(signal.SIGKILL)
    worker = site.start("kafka", "default", killed_at="step.after")
    wait_until(lambda: not worker.is_running, PATIENCE, "the worker is killed")
    assert site.published() == []
    assert [each.waiting for each in site.ledger.outbox_load()] != []

    site.start("kafka", "@bridge")

    wait_until(site.published, PATIENCE, "it is published")
    wait_until(lambda: not site.ledger.outbox_load(), PATIENCE, "the outbox is empty")
    assert len(site.ids()) == len(set(site.ids())) >= 1


def test_a_relay_that_is_killed_before_it_notes_the_answer_publishes_the_same_id_again(
    site: Site,
) -> None:
    site.pay({"order": 1})
    worker = site.start("kafka", "default")
    killed = site.start("kafka", "@bridge", killed_at="ack.before")
    wait_until(lambda: not killed.is_running, PATIENCE, "the bridge is killed")
    (first,) = wait_until(site.ids, PATIENCE, "its record")
    assert [each.waiting for each in site.ledger.outbox_load()] == [1]

    site.start("kafka", "@bridge")

    wait_until(lambda: not site.ledger.outbox_load(), PATIENCE, "the outbox is empty")
    # A reader may get a record later than the relay gets the broker's answer.
    wait_until(lambda: len(site.ids()) > 1, PATIENCE, "another record")
    assert site.ids() == [first, first]
    worker.signal(signal.SIGTERM)


def test_a_record_that_does_not_fit_is_a_dead_letter_and_holds_up_no_other(site: Site) -> None:
    site.start("kafka", "default")
    site.start("kafka", "@bridge")
    site.pay(b"\xff\x00 no json", {"order": "seven"}, {"order": 3}, key=b"one partition")

    def dead() -> bool:
        found = site.jobs("unfit_kafka_record")
        return [each.state for each in found] == [JobState.FAILED] * 2

    assert site.wait_for_orders(1) == [3]
    wait_until(dead, PATIENCE, "two dead letters")
    wait_until(lambda: site.committed() == 3, PATIENCE, "the offsets are committed")
    reasons = {json.loads(each.payload)["why"] for each in site.jobs("unfit_kafka_record")}
    assert any("valid integer" in each for each in reasons)
    assert not any("seven" in each for each in reasons)
    assert all(
        each.error and "does not fit ship_order" in each.error.message
        for each in site.jobs("unfit_kafka_record")
    )
