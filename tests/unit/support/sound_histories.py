"""Sound histories: what a job's life may look like."""

from datetime import timedelta

from failsoft.job_engine.invariants import (
    History,
    history_of,
)
from failsoft.job_engine.records.job import Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import FAIL, RETRY, SUSPEND
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite import fixtures
from failsoft.testing.ledger_suite.control import resolutions

MINUTE = timedelta(minutes=1)


def handed_over() -> History:
    """A job that lost its first worker after a step, and succeeded on the other engine."""
    ledger, clock = _ledger()
    claim = fixtures.started(ledger)
    ledger.record(claim, fixtures.step("fetch", 0))
    clock.advance(MINUTE)
    second = fixtures.taken_over(ledger, claim)
    clock.advance(MINUTE)
    ledger.record(second, fixtures.step("send", 1))
    ledger.conclude(second, fixtures.SUCCESS)
    return history_of(ledger, claim.job_id)


def retried() -> History:
    """A job whose handler raised once, and that waits."""
    ledger, clock = _ledger()
    claim = fixtures.started(ledger)
    clock.advance(MINUTE)
    ledger.conclude(claim, Conclusion(RETRY, error=fixtures.ERROR, delay=MINUTE))
    return history_of(ledger, claim.job_id)


def side_by_side() -> History:
    """A job of whose branches one raised, and was done by the next attempt."""
    ledger, clock = _ledger()
    claim = fixtures.started(ledger)
    for place in (0, 2):
        clock.advance(MINUTE)
        ledger.record(claim, _branch(place))
    ledger.conclude(claim, Conclusion(RETRY, error=fixtures.ERROR, delay=MINUTE))
    clock.advance(MINUTE)
    second = fixtures.claimed(ledger, fixtures.reoffered(ledger, claim.job_id))
    ledger.record(second, _branch(1))
    ledger.conclude(second, fixtures.SUCCESS)
    return history_of(ledger, claim.job_id)


def given_up_side_by_side() -> History:
    """A job that failed because one of its branches raised, before the others."""
    ledger, clock = _ledger()
    claim = fixtures.started(ledger)
    clock.advance(MINUTE)
    ledger.record(claim, _branch(1))
    ledger.conclude(claim, Conclusion(FAIL, error=fixtures.ERROR))
    return history_of(ledger, claim.job_id)


def requested_to_stop_side_by_side() -> History:
    """A running job that was cancelled; the branches in flight were recorded."""
    ledger, clock = _ledger()
    claim = fixtures.started(ledger)
    clock.advance(MINUTE)
    ledger.cancel(claim.job_id, "somebody")
    clock.advance(MINUTE)
    for place in (0, 1):
        ledger.record(claim, _branch(place))
    ledger.conclude(claim, Conclusion(RETRY, error=fixtures.ERROR))
    return history_of(ledger, claim.job_id)


def requested_to_stop() -> History:
    """A running job that was cancelled; the step in flight was recorded."""
    ledger, clock = _ledger()
    claim = fixtures.started(ledger)
    clock.advance(MINUTE)
    ledger.cancel(claim.job_id, "somebody")
    clock.advance(MINUTE)
    ledger.record(claim, fixtures.step("fetch", 0))
    ledger.conclude(claim, Conclusion(RETRY, error=fixtures.ERROR))
    return history_of(ledger, claim.job_id)


def asleep() -> History:
    """A job that sleeps."""
    ledger, _ = _ledger()
    claim = fixtures.started(ledger)
    nap = StepRecord("nap", 0, StepKind.SLEEP, '"for 0:01:00"')
    ledger.conclude(claim, Conclusion(SUSPEND, delay=MINUTE, step=nap))
    return history_of(ledger, claim.job_id)


def let_go_on() -> History:
    """A job that was held for a step in doubt, and that a person let go on."""
    ledger, _ = _ledger()
    claim = resolutions.held(ledger)
    ledger.resolve(ledger.get(claim.job_id), resolutions.PAID)
    second = fixtures.claimed(ledger, fixtures.reoffered(ledger, claim.job_id))
    ledger.conclude(second, fixtures.SUCCESS)
    return history_of(ledger, claim.job_id)


def _branch(place: int) -> StepRecord:
    return StepRecord(f"branch-{place}", place, StepKind.BRANCH, "1")


def _ledger() -> tuple[MemoryLedger, FrozenClock]:
    clock = FrozenClock()
    return MemoryLedger(clock), clock
