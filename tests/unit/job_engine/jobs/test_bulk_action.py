from collections.abc import Sequence
from datetime import timedelta

import pytest
from pydantic import ValidationError

from failsoft.job_engine.jobs.scheduled.bulk_action import (
    BulkProgress,
    BulkTurns,
    CarryOnBulk,
    bulk_action,
    take_turns,
)
from failsoft.job_engine.ports.console import BulkAction, BulkRecord, BulkState, NewBulk
from failsoft.job_engine.records.states import JobState
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import MOMENT, waiting
from tests.unit.job_engine.jobs.fakes import Crashed, Job

BULK = BulkTurns(bulk_id="bulk-1")


class SlowLedger(MemoryLedger):
    """Does three jobs a turn, each turn in half a second; one call may crash after it."""

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__(clock)
        self.time = clock
        self.turns = 0
        self.crash_after: int | None = None

    def bulk_turn(self, bulk_id: str, most: int = 3) -> BulkRecord:
        self.turns += 1
        found = super().bulk_turn(bulk_id, most)
        self.time.advance(timedelta(seconds=0.5))
        if self.turns == self.crash_after:
            raise Crashed(bulk_id)
        return found


def started(jobs: int) -> tuple[SlowLedger, Job, Sequence[str]]:
    clock = FrozenClock()
    ledger = SlowLedger(clock)
    ids = [waiting(ledger).id for _ in range(jobs)]
    clock.advance(MOMENT)
    ledger.bulk_start(NewBulk(BULK.bulk_id, BulkAction.CANCEL, {}, jobs, "ada", "cli ada"))
    return ledger, Job(clock=clock), ids


def test_turns_follow_each_other_until_the_bulk_is_through() -> None:
    ledger, job, ids = started(10)

    found = job.attempt(CarryOnBulk(ledger, job.clock), BULK)

    assert found == BulkProgress(state=BulkState.DONE, done=10, failed=0)
    assert {ledger.get(each).state for each in ids} == {JobState.CANCELLED}


def test_a_step_takes_turns_for_a_second_and_no_longer() -> None:
    ledger, job, _ = started(10)

    once = take_turns(ledger, BULK.bulk_id, job.clock)

    assert (once.state, once.done, ledger.turns) == (BulkState.RUNNING, 6, 2)


def test_an_attempt_that_follows_goes_on_where_the_turns_were() -> None:
    ledger, job, ids = started(10)
    ledger.crash_after = 3
    with pytest.raises(Crashed):
        job.attempt(CarryOnBulk(ledger, job.clock), BULK)
    before = ledger.bulk(BULK.bulk_id).done

    found = job.attempt(CarryOnBulk(ledger, job.clock), BULK)

    assert (before, found.done, found.failed) == (9, 10, 0)
    cancels = [[each.state for each in ledger.events(job_id)] for job_id in ids]
    assert all(states.count(JobState.CANCELLED) == 1 for states in cancels)


def test_a_stop_is_seen_at_the_next_turn() -> None:
    ledger, job, ids = started(10)
    take_turns(ledger, BULK.bulk_id, job.clock)
    ledger.bulk_stop(BULK.bulk_id)

    found = job.attempt(CarryOnBulk(ledger, job.clock), BULK)

    assert found == BulkProgress(state=BulkState.STOPPED, done=6, failed=0)
    waits = [ledger.get(each).state for each in ids].count(JobState.SCHEDULED)
    assert waits == 4


def test_its_payload_is_the_id_of_a_bulk() -> None:
    with pytest.raises(ValidationError):
        BulkTurns(bulk_id="")
    with pytest.raises(ValidationError):
        BulkTurns(bulk_id="b" * 65)
    assert bulk_action.bind(CarryOnBulk(started(0)[0], FrozenClock())).handler is not None
    assert bulk_action.queue.name == "scheduled"
