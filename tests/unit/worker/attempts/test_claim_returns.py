"""Claims that a process is done with are given back, and hurt nobody who has the job by then."""

from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.outcome import cut_off
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.worker.attempts.claim_returns import FIRST_PAUSE, ClaimReturns
from tests.unit.worker.attempts.offered_job import Desk

PICKUP = timedelta(seconds=10)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def returns(desk: Desk) -> ClaimReturns:
    return ClaimReturns(desk.ledger, desk.clock, desk.told.append)


def test_a_claim_that_a_rescuer_took_is_left_alone_and_its_crash_is_taken_back(
    desk: Desk, returns: ClaimReturns
) -> None:
    claim = desk.claim()
    desk.ledger.offer(desk.ledger.get("job-1"), OfferPlan("dramatiq", PICKUP))
    charged = desk.ledger.get("job-1").crashes
    returns.owe(claim, cut_off())

    returns.settle()

    job = desk.ledger.get("job-1")
    assert (charged, job.crashes) == (1, 0)
    assert (job.state, job.epoch) == (JobState.OFFERED, 2)
    assert desk.kinds() == ["job.uncharge"]


def test_a_lost_reply_gives_nothing_back_twice(desk: Desk, returns: ClaimReturns) -> None:
    returns.owe(desk.claim(), cut_off())
    desk.ledger.lose_replies()
    with pytest.raises(LedgerUnavailableError):
        returns.settle()

    returns.settle()

    assert desk.ledger.get("job-1").releases == 1
    assert returns.count == 0


def test_a_claim_that_was_never_made_is_no_claim(desk: Desk, returns: ClaimReturns) -> None:
    desk.offer()
    returns.owe(replace(desk.claim("job-2"), job_id="job-1"), cut_off())

    returns.settle()

    assert desk.state() is JobState.OFFERED
    assert returns.count == 0


def test_a_refusal_is_tried_again_less_and_less_often_and_told_each_time(
    desk: Desk, returns: ClaimReturns, caplog: pytest.LogCaptureFixture
) -> None:
    returns.owe(desk.claim(), cut_off())
    desk.ledger.refuse_next(2)
    for pause in (0, FIRST_PAUSE / 2, FIRST_PAUSE / 2, FIRST_PAUSE):
        desk.clock.advance(timedelta(seconds=pause))
        returns.settle()
    told = len(caplog.records)

    desk.clock.advance(timedelta(seconds=FIRST_PAUSE))
    returns.settle()

    assert told == 2
    assert all(record.exc_info for record in caplog.records)
    assert desk.state() is JobState.SCHEDULED


def test_one_that_is_refused_does_not_keep_others_waiting(
    desk: Desk, returns: ClaimReturns
) -> None:
    for job_id in ("job-1", "job-2"):
        returns.owe(desk.claim(job_id), cut_off())
    desk.ledger.refuse_next()

    returns.settle()

    assert [desk.state(each) for each in ("job-1", "job-2")] == [
        JobState.RUNNING,
        JobState.SCHEDULED,
    ]


def test_an_attempt_that_comes_back_with_its_end_records_it_itself(
    desk: Desk, returns: ClaimReturns
) -> None:
    lease = Lease()
    returns.owe(desk.claim(), cut_off(), lease)
    lease.end()

    returns.settle()

    assert (desk.state(), returns.count) == (JobState.RUNNING, 0)
