"""A ledger in which everything that the screens show has happened, by its own calls."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.policies.uniqueness import hashed
from failsoft.job_engine.ports.console import AuditEntry
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import (
    Claim,
    Conclusion,
    DispatchTry,
    Progress,
    StepKind,
    StepRecord,
    TryOutcome,
    WorkerInfo,
    WorkerRecord,
)
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import FAIL, HOLD, RETRY, SUCCEED, SUSPEND, JobState
from failsoft.job_engine.records.waits import Wait, event_topic
from failsoft.ledger import SqlLedger
from failsoft.testing.ledger_suite.fixtures import LONG, claimed, new_job, offered, waiting

RQ, DRAMATIQ = "rq", "dramatiq"
TRACEBACK = """Traceback (most recent call last):
  File "shop/mail.py", line 41, in send
    client.login(user, password)
  File "smtplib.py", line 750, in login
    raise SMTPAuthenticationError(code, resp)
smtplib.SMTPAuthenticationError: (535, b'5.7.8 credentials invalid')
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """The ids of the jobs that tests look at."""

    taken_over: str
    failed: str
    held: str
    succeeded: str
    scheduled: str
    offered: str
    running: str
    group: str
    waiting: str
    all_failed: tuple[str, ...]


def scene(ledger: SqlLedger, *, moment: float = 0.0) -> Scene:
    """Let everything happen.

    Args:
        ledger: An empty ledger.
        moment: How many seconds pass between what happens, for drawings that show them.
    """
    wait: Callable[[float], None] = lambda units: time.sleep(moment * units)  # noqa: E731 - short
    _workers(ledger)
    ledger.take_sample()
    taken_over = _taken_over(ledger, wait)
    all_failed = tuple(_failed(ledger, place) for place in range(7))
    held = _held(ledger)
    for place in range(24):
        _succeeded(ledger, place)
    succeeded = _succeeded(ledger, 99)
    scheduled = waiting(
        ledger, name="send_digest", payload=json.dumps({"user_id": 7, "email": "ada@example.org"})
    ).id
    for place in range(5):
        waiting(ledger, timedelta(hours=place + 1), name="send_digest", tags=("weekly",))
    in_queue = [offered(ledger, RQ, queue="data-sync", name="import_csv").id for _ in range(3)]
    running = claimed(
        ledger, offered(ledger, DRAMATIQ, name="resize_image", tags=("images",)), worker="img-2"
    )
    ledger.note_progress(running, Progress(62, 100, "batch 3", datetime.now(UTC)))
    group = _group(ledger)
    _limited(ledger)
    ledger.pause(Pause("queue", "data-sync", "ada (console)", "import folder is moved"))
    expect_rq_away(ledger)
    ledger.note_switch(RQ, "over", {"to": DRAMATIQ, "jobs": 204})
    ledger.audit(
        AuditEntry("a1", "grace", "console 10.0.0.7", "cancel", "job", held, outcome="refused")
    )
    with ledger.acting(AuditEntry("a2", "ada", "cli ada", "cancel", "job", all_failed[0])):
        ledger.cancel(in_queue[2], "ada")
    return Scene(
        *(taken_over, all_failed[0], held, succeeded, scheduled, in_queue[0], running.job_id),
        *(group, _waiting(ledger), all_failed),
    )


def expect_rq_away(ledger: SqlLedger) -> None:
    """Let a process report for some seconds that it does not offer to RQ."""
    away = (timedelta(seconds=41), "Redis was not reached: connection refused")
    ledger.note_breakers("boot-web-1", {RQ: away})


def _workers(ledger: SqlLedger) -> None:
    busy = [(RQ, "default", 0), (DRAMATIQ, "default", 11), (DRAMATIQ, "data-sync", 2)]
    for place, (engine, queue, at_work) in enumerate(busy):
        info = WorkerInfo("0.1.0", "3.13.5", 1204 * place, at_work, 91_000, (RQ,) if place else ())
        worker = WorkerRecord(
            f"boot-{place}", engine, queue, f"node-{place}", 4100 + place, 16, info=info
        )
        ledger.beat(worker, LONG)


def _taken_over(ledger: SqlLedger, wait: Callable[[float], None]) -> str:  # noqa: PLR0915
    payload = {"file": "orders.csv", "rows": 18_000, "api_token": "s3cret-value"}
    job = offered(
        *(ledger, RQ),
        name="import_csv",
        payload=json.dumps(payload),
        tags=("orders", "nightly"),
        idempotency_key="orders-2026-11",
    )
    ledger.note_tries([(job.id, DispatchTry(RQ, 1, "offer", TryOutcome.ACCEPTED, "", 0.0004))])
    wait(1)
    claim = claimed(ledger, job, worker="node-0 w-81")
    for place in range(2):
        wait(3)
        _step(ledger, claim, f"load-{place}", place)
    wait(4)
    skipped = DispatchTry(
        *(RQ, 2, "breaker", TryOutcome.SKIPPED, "Redis was not reached: connection refused")
    )
    ledger.note_tries([(job.id, skipped)])
    moved = ledger.offer(ledger.get(job.id), _plan(DRAMATIQ, "the lease of node-0 w-81 ran out"))
    assert moved is not None
    took = DispatchTry(DRAMATIQ, 2, "offer", TryOutcome.ACCEPTED, "", 0.0031)
    ledger.note_tries([(job.id, took)])
    wait(1)
    claim = claimed(ledger, moved, worker="node-1 w-12")
    wait(2)
    _step(ledger, claim, "load-2", 2)
    nap = StepRecord("cool-down", 3, StepKind.SLEEP, '"for 0:00:02"')
    ledger.conclude(claim, Conclusion(SUSPEND, delay=timedelta(0), step=nap))
    wait(5)
    again = ledger.offer(ledger.get(job.id), _plan(DRAMATIQ, "due"))
    assert again is not None
    claim = claimed(ledger, again, worker="node-1 w-12")
    wait(2)
    _step(ledger, claim, "load-3", 4)
    ledger.note_progress(claim, Progress(14_400, 18_000, "load-3", datetime.now(UTC)))
    return job.id


def _plan(engine: str, reason: str) -> Any:
    from failsoft.job_engine.records.new_job import OfferPlan  # noqa: PLC0415 - beside its use

    return OfferPlan(engine, LONG, reason)


def _step(ledger: SqlLedger, claim: Claim, name: str, place: int) -> None:
    result = json.dumps({"rows": 3600 * (place + 1), "session_key": "k-123"})
    ledger.record(claim, StepRecord(name, place, StepKind.RUN, result, elapsed=0.21))


def _failed(ledger: SqlLedger, place: int) -> str:
    job = offered(ledger, RQ if place % 2 else DRAMATIQ, name="send_welcome", tags=("mail",))
    claim = claimed(ledger, job)
    error = ErrorRecord("smtplib.SMTPAuthenticationError", "(535, credentials invalid)", TRACEBACK)
    if place > 4:
        error = ErrorRecord("TimeoutError", "the mail server did not answer in 30 s", "")
    ledger.conclude(claim, Conclusion(FAIL, error=error, reason="no attempt left"))
    return job.id


def _held(ledger: SqlLedger) -> str:
    claim = claimed(ledger, offered(ledger, DRAMATIQ, name="charge_card"), worker="pay-1")
    ledger.record(claim, StepRecord("charge", 0, StepKind.INTENT, "null"))
    error = ErrorRecord("StepInDoubtError", "step 'charge' was begun and may have taken effect")
    ledger.conclude(claim, Conclusion(HOLD, error=error, reason="step 'charge' is in doubt"))
    return claim.job_id


def _succeeded(ledger: SqlLedger, place: int) -> str:
    name = ("send_welcome", "resize_image", "send_digest")[place % 3]
    job = offered(ledger, RQ if place % 4 else DRAMATIQ, name=name, tags=("mail",))
    claim = claimed(ledger, job)
    if place % 5 == 0:
        error = ErrorRecord("TimeoutError", "no answer in 5 s")
        ledger.conclude(claim, Conclusion(RETRY, error=error, delay=timedelta(0)))
        again = ledger.offer(ledger.get(job.id), _plan(DRAMATIQ, "due"))
        assert again is not None
        claim = claimed(ledger, again)
    ended = ledger.conclude(claim, Conclusion(SUCCEED, result='{"sent": true, "bytes": 48211}'))
    assert ended is JobState.SUCCEEDED
    return job.id


def _waiting(ledger: SqlLedger) -> str:
    claim = claimed(ledger, offered(ledger, DRAMATIQ, name="ship_order"))
    wait = Wait(event_topic("paid", key="order-7"), LONG, event="paid", key="order-7")
    note = {"timeout_s": LONG.total_seconds(), "job": None, "event": "paid", "key": "order-7"}
    step = StepRecord("await-payment", 0, StepKind.WAIT, json.dumps(note))
    ledger.conclude(claim, Conclusion(SUSPEND, delay=LONG, step=step, wait=wait))
    return claim.job_id


def _limited(ledger: SqlLedger) -> None:
    both = Limits(Limit(hashed("sync"), 2), Limit(hashed("sync rate"), 1, LONG))
    claimed(ledger, offered(ledger, DRAMATIQ, name="sync_account", limits=both))
    for _ in range(3):
        waiting(ledger, timedelta(0), name="sync_account", limits=both)


def _group(ledger: SqlLedger) -> str:
    jobs = [new_job(id=f"g-nightly-{place}", name="resize_image") for place in range(4)]
    group = GroupRecord("g-nightly", "sha", "all_ended", total=4, sealed=True)
    ledger.record_group(group, None, jobs)
    return group.id
