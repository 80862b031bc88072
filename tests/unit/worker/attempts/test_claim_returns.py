"""Claims that a process is done with are given back; a later attempt keeps the job."""

from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.outcome import cut_off
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.worker.attempts.claim_returns import FIRST_PAUSE, ClaimReturns
from tests.unit.worker.attempts.offered_job import OfferedJob

PICKUP = timedelta(seconds=10)


@pytest.fixture
def offered() -> OfferedJob:
    return OfferedJob()


@pytest.fixture
def returns(offered: OfferedJob) -> ClaimReturns:
    return ClaimReturns(offered.ledger, offered.clock, offered.events.append)


def test_a_claim_that_a_rescuer_took_is_left_alone_and_its_crash_is_taken_back(
    offered: OfferedJob, returns: ClaimReturns
) -> None:
    claim = offered.claim()
    offered.ledger.offer(offered.ledger.get("job-1"), OfferPlan("dramatiq", PICKUP))
    charged = offered.ledger.get("job-1").crashes
    returns.owe(claim, cut_off())

    returns.settle()

    job = offered.ledger.get("job-1")
    assert (charged, job.crashes) == (1, 0)
    assert (job.state, job.epoch) == (JobState.OFFERED, 2)
    assert offered.kinds() == ["job.uncharge"]


def test_a_lost_reply_gives_nothing_back_twice(offered: OfferedJob, returns: ClaimReturns) -> None:
    returns.owe(offered.claim(), cut_off())
    offered.ledger.lose_replies()
    with pytest.raises(LedgerUnavailableError):
        returns.settle()

    returns.settle()

    assert offered.ledger.get("job-1").releases == 1
    assert returns.count == 0


def test_a_claim_that_was_never_made_is_no_claim(
    offered: OfferedJob, returns: ClaimReturns
) -> None:
    offered.offer()
    returns.owe(replace(offered.claim("job-2"), job_id="job-1"), cut_off())

    returns.settle()

    assert offered.state() is JobState.OFFERED
    assert returns.count == 0


def test_a_refusal_is_tried_again_less_and_less_often_and_reported_each_time(
    offered: OfferedJob, returns: ClaimReturns, caplog: pytest.LogCaptureFixture
) -> None:
    returns.owe(offered.claim(), cut_off())
    offered.ledger.refuse_next(2)
    for pause in (0, FIRST_PAUSE / 2, FIRST_PAUSE / 2, FIRST_PAUSE):
        offered.clock.advance(timedelta(seconds=pause))
        returns.settle()
    events = len(caplog.records)

    offered.clock.advance(timedelta(seconds=FIRST_PAUSE))
    returns.settle()

    assert events == 2
    assert all(record.exc_info for record in caplog.records)
    assert offered.state() is JobState.SCHEDULED


def test_one_that_is_refused_does_not_keep_others_waiting(
    offered: OfferedJob, returns: ClaimReturns
) -> None:
    for job_id in ("job-1", "job-2"):
        returns.owe(offered.claim(job_id), cut_off())
    offered.ledger.refuse_next()

    returns.settle()

    assert [offered.state(each) for each in ("job-1", "job-2")] == [
        JobState.RUNNING,
        JobState.SCHEDULED,
    ]


def test_an_attempt_that_comes_back_with_its_end_records_it_itself(
    offered: OfferedJob, returns: ClaimReturns
) -> None:
    lease = Lease()
    returns.owe(offered.claim(), cut_off(), lease)
    lease.end()

    returns.settle()

    assert (offered.state(), returns.count) == (JobState.RUNNING, 0)
