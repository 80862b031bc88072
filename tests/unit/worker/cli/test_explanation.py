"""`jobs show` says why a job is in its state, whichever state that is and however it came there."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.records.job import (
    Conclusion,
    DispatchTry,
    JobRecord,
    StepKind,
    StepRecord,
    TryOutcome,
    WorkerRecord,
)
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, ACCEPT, HOLD, RELEASE, RESUME, SUSPEND
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    LONG,
    claimed,
    new_job,
    offered,
    plan,
    started,
    waiting,
)
from failsoft.worker.cli.jobs.explanation import why
from failsoft.worker.cli.jobs.page import read_report

HELD = Conclusion(HOLD, error=CONCLUSIONS[1].error, reason="step 'pay' is in doubt")


def parked(ledger: MemoryLedger) -> str:
    job = offered(ledger)
    ledger.park(job, LONG, "Redis was not reached")
    return job.id


def never_offered(ledger: MemoryLedger) -> str:
    job = waiting(ledger, timedelta(seconds=1))
    skipped = DispatchTry("rq", 0, "breaker", TryOutcome.SKIPPED, "ConnectionError")
    ledger.note_tries([(job.id, skipped)])
    return job.id


def concluded(ledger: MemoryLedger, conclusion: Conclusion) -> str:
    claim = started(ledger)
    ledger.conclude(claim, conclusion)
    return claim.job_id


def paused(ledger: MemoryLedger) -> str:
    ledger.pause(Pause("queue", "default", "ana", "the bank is closed"))
    return waiting(ledger).id


def full(ledger: MemoryLedger) -> str:
    limits = Limits(Limit("one", 1))
    claimed(ledger, offered(ledger, limits=limits))
    return waiting(ledger, limits=limits).id


def chained(ledger: MemoryLedger) -> str:
    first = new_job()
    then = new_job(waits_for=first.id)
    ledger.record_chain([first, then], None)
    return then.id


def served(ledger: MemoryLedger) -> str:
    ledger.beat(WorkerRecord("boot", "first", "default", "host", 1, 1), LONG)
    return offered(ledger).id


def requested_to_stop(ledger: MemoryLedger) -> str:
    claim = started(ledger)
    ledger.cancel(claim.job_id, "ana")
    return claim.job_id


def cancelled(ledger: MemoryLedger) -> str:
    job = waiting(ledger)
    ledger.cancel(job.id, "ana")
    return job.id


def expired(ledger: MemoryLedger) -> str:
    job = waiting(ledger, expires_in=timedelta(hours=2))
    ledger.expire(ledger.get(job.id))
    return job.id


def resolved(ledger: MemoryLedger, resolution: Resolution) -> str:
    job_id = concluded(ledger, HELD)
    ledger.resolve(ledger.get(job_id), resolution)
    return job_id


def asleep(kind: StepKind, result: str) -> Conclusion:
    return Conclusion(SUSPEND, delay=LONG, step=StepRecord("nap", 0, kind, result))


def released(reason: str) -> Conclusion:
    return Conclusion(RELEASE, delay=LONG, reason=reason)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda ledger: waiting(ledger).id, "waits for its time"),
        (parked, "parked, no engine took it: Redis was not reached"),
        (never_offered, "parked, no engine took it: rq ConnectionError"),
        (partial(concluded, conclusion=CONCLUSIONS[1]), "after 1 error: ValueError: no such user"),
        (partial(concluded, conclusion=CONCLUSIONS[3]), "its process died"),
        (partial(concluded, conclusion=asleep(StepKind.SLEEP, '"for 1:00:00"')), "sleeps for 1:00"),
        (
            partial(concluded, conclusion=asleep(StepKind.WAIT, "{}")),
            "waits for an event in step 'nap'",
        ),
        (
            partial(concluded, conclusion=asleep(StepKind.WAIT, '{"job": "child"}')),
            "waits for job child to end",
        ),
        (
            partial(concluded, conclusion=released("worker stops")),
            "given back by its worker: worker",
        ),
        (partial(concluded, conclusion=released("unknown job")), "whose FAILSOFT_JOBS has it"),
        (paused, "queue default paused by ana: the bank is closed"),
        (full, "waits for its turn: concurrency: 1 of 1 run"),
        (chained, "to end"),
        (lambda ledger: offered(ledger).id, "to first, where no live worker serves queue default"),
        (served, "to first, waits for a free worker"),
        (lambda ledger: started(ledger).job_id, "attempt 1 on first"),
        (requested_to_stop, "stops at its next step"),
        (partial(concluded, conclusion=HELD), "step 'pay' is in doubt; decide with `failsoft"),
        (partial(resolved, resolution=Resolution(RESUME, "ana", "it is fine")), "resolved by ana"),
        (partial(resolved, resolution=Resolution(ABANDON, "ana")), "given up by ana"),
        (partial(resolved, resolution=Resolution(ACCEPT, "ana", "", "1")), "given by ana"),
        (partial(concluded, conclusion=CONCLUSIONS[2]), "no attempt left"),
        (partial(concluded, conclusion=CONCLUSIONS[4]), "crash loop"),
        (cancelled, "by ana"),
        (expired, "when it expired"),
        (partial(concluded, conclusion=CONCLUSIONS[0]), ""),
    ],
)
def test_a_state_is_explained(made: Callable[[MemoryLedger], str], expected: str) -> None:
    ledger = MemoryLedger(FrozenClock())

    reason = why(read_report(ledger, made(ledger)))

    assert expected in reason
    assert bool(reason) is bool(expected)


def test_a_job_that_was_handed_over_and_nothing_explains_is_explained_by_its_event() -> None:
    ledger = MemoryLedger(FrozenClock())
    claim = started(ledger)
    ledger.offer(ledger.get(claim.job_id), plan("second"))
    seen: JobRecord = ledger.get(claim.job_id)

    assert "to second" in why(read_report(ledger, seen.id))
