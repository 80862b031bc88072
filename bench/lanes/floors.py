"""What no lane can be faster than: the ledger's two writes of a job, and Kafka's own client."""

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from confluent_kafka import Consumer, Producer

from bench.lanes.lane import QUEUE, Payload, no_op
from failsoft.job_engine.records.job import Claim, Conclusion, Ticket
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import SUCCEED
from failsoft.ledger import Database, SqlLedger

ENGINE = "none"
#: How long one look for records takes, in seconds.
POLL_SECONDS = 1.0
_END = Conclusion(SUCCEED, result="1")


def ledger_alone(url: str, jobs: int, *, together: bool) -> float:
    """Return how many jobs a second are claimed and ended where nothing else is done.

    Args:
        url: The ledger's URL; it is upgraded.
        jobs: How many.
        together: Whether as many claims as the queue has slots are made by one call, and so many
            threads end them; otherwise each thread claims and ends one job after the other.
    """
    with closing(Database(url)) as database, ThreadPoolExecutor(QUEUE.slots) as threads:
        ledger = SqlLedger(database)
        tickets = _offered(ledger, jobs)
        end = partial(_end, ledger)
        if together:
            return _rate(jobs, lambda: _in_batches(ledger, tickets, threads, end))

        def one(ticket: Ticket) -> None:
            claim = ledger.claim(ticket)
            assert claim is not None  # noqa: S101 - or nothing was measured
            end(claim)

        return _rate(jobs, lambda: list(threads.map(one, tickets)))


def consumed(servers: str, jobs: int) -> float:
    """Return how many records a second are consumed as a worker does it, without a worker.

    So many records at once as the queue has slots, and an asynchronous commit after each time.

    Args:
        servers: Of Kafka.
        jobs: How many records.
    """
    topic = f"floor-{secrets.token_hex(4)}"
    producer = Producer({"bootstrap.servers": servers, "acks": "all"})
    for number in range(jobs):
        producer.produce(topic, str(number).encode() * 60)
    producer.flush()
    config: dict[str, str | int | float | bool | None] = {
        "bootstrap.servers": servers,
        "group.id": topic,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(config)
    consumer.subscribe([topic])
    found = len(consumer.consume(1, timeout=60))

    def take() -> None:
        nonlocal found
        while found < jobs:
            found += len(consumer.consume(QUEUE.slots, timeout=POLL_SECONDS))
            consumer.commit(asynchronous=True)

    try:
        return _rate(jobs, take)
    finally:
        consumer.close()


def _offered(ledger: SqlLedger, jobs: int) -> Sequence[Ticket]:
    payload = Payload(number=1).model_dump_json()
    new = [
        (
            NewJob(secrets.token_hex(16), no_op.name, QUEUE.name, payload, "sha"),
            OfferPlan(ENGINE, QUEUE.lease),
        )
        for _ in range(jobs)
    ]
    return [
        Ticket(
            *(record.id, record.epoch, ENGINE, QUEUE.name, secrets.token_hex(16), "bench"),
            QUEUE.lease,
        )
        for record, _ in ledger.record_jobs(new)
    ]


def _in_batches(
    ledger: SqlLedger,
    tickets: Sequence[Ticket],
    threads: ThreadPoolExecutor,
    end: Callable[[Claim], None],
) -> None:
    for start in range(0, len(tickets), QUEUE.slots):
        list(threads.map(end, ledger.claim_many(tickets[start : start + QUEUE.slots])))


def _end(ledger: SqlLedger, claim: Claim) -> None:
    ledger.conclude(claim, _END)


def _rate(jobs: int, work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return round(jobs / (time.monotonic() - began), 1)
