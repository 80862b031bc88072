# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when several calls compete at the same instant."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import CancelOutcome, JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ERROR,
    FIRST,
    LONG,
    SECOND,
    SUCCESS,
    expect_sound_history,
    is_fenced,
    new_job,
    offered,
    plan,
    started,
    step,
    ticket,
    waiting,
)

T = TypeVar("T")
U = TypeVar("U")

CROWD = 6
ROUNDS = 8
PATIENCE = 30.0


class RacePromises:
    """The database orders them, and exactly one wins (rule 4, R7, R14 to R16, R20)."""

    def test_a_crowd_claims_an_offer_and_one_has_it(self, ledger: Ledger) -> None:
        """Each epoch is claimed at most once (I2)."""
        for _ in range(ROUNDS):
            job = offered(ledger)

            claims = at_once([partial(ledger.claim, ticket(job)) for _ in range(CROWD)])

            assert sum(claim is not None for claim in claims) == 1
            assert ledger.get(job.id).claims == 1
            assert len(ledger.attempts(job.id)) == 1
            expect_sound_history(ledger, job.id)

    def test_one_claim_that_is_sent_many_times_is_one_claim(self, ledger: Ledger) -> None:
        """As a worker does that lost the reply (R13)."""
        for _ in range(ROUNDS):
            shown = ticket(offered(ledger))

            claims = at_once([partial(ledger.claim, shown)] * CROWD)

            assert len(set(claims)) == 1
            assert claims[0] is not None
            assert ledger.get(shown.job_id).claims == 1

    def test_a_crowd_of_rescuers_moves_a_job_once(self, ledger: Ledger) -> None:
        """No leader is needed, and one epoch is used (R14)."""
        for seen in (offered(ledger), waiting(ledger), ledger.get(started(ledger).job_id)):
            moves = at_once([partial(ledger.offer, seen, plan(SECOND))] * CROWD)

            assert sum(moved is not None for moved in moves) == 1
            assert ledger.get(seen.id).epoch == seen.epoch + 1
            expect_sound_history(ledger, seen.id)

    def test_a_rescuer_and_a_finishing_attempt_do_not_both_win(self, ledger: Ledger) -> None:
        """Either the job has ended or it is offered again, never both (R15, I4)."""
        for _ in range(ROUNDS):
            claim = started(ledger)
            seen = ledger.get(claim.job_id)

            finish, rescue = partial(ledger.conclude, claim, SUCCESS), partial(ledger.offer, seen)
            fenced, moved = both(partial(is_fenced, finish), partial(rescue, plan(SECOND)))

            assert fenced is (moved is not None)
            ending = JobState.OFFERED if fenced else JobState.SUCCEEDED
            assert ledger.get(claim.job_id).state is ending
            expect_sound_history(ledger, claim.job_id)

    def test_a_renewal_and_a_rescuer_do_not_both_win(self, ledger: Ledger) -> None:
        """An attempt that renewed in time keeps the job (R16)."""
        for _ in range(ROUNDS):
            claim = started(ledger)
            seen = ledger.get(claim.job_id)

            renewed, failed = both(
                partial(ledger.renew, [claim]), partial(ledger.exhaust, seen, ERROR)
            )

            assert bool(renewed) is (failed is None)

    def test_a_claim_and_a_rescuer_do_not_both_win(self, ledger: Ledger) -> None:
        """One row, two compare-and-sets (R7)."""
        for _ in range(ROUNDS):
            seen = offered(ledger)

            claim, moved = both(
                partial(ledger.claim, ticket(seen)), partial(ledger.park, seen, LONG, "no engine")
            )

            assert (claim is None) is (moved is not None)

    def test_a_claim_and_a_cancel_agree_on_their_order(self, ledger: Ledger) -> None:
        """Cancelled and never started, or started with a cancel request (R20, I9)."""
        for _ in range(ROUNDS):
            job = offered(ledger)

            claim, answer = both(
                partial(ledger.claim, ticket(job)), partial(ledger.cancel, job.id, "ada")
            )

            expected = CancelOutcome.CANCELLED if claim is None else CancelOutcome.REQUESTED
            assert answer is expected
            assert ledger.get(job.id).cancel_requested is (claim is not None)

    def test_a_cancel_and_a_retry_never_leave_a_job_that_waits_uncancelled(
        self, ledger: Ledger
    ) -> None:
        """Whichever is first, the job ends cancelled (I9)."""
        for _ in range(ROUNDS):
            claim = started(ledger)

            both(
                partial(ledger.conclude, claim, CONCLUSIONS[1]),
                partial(ledger.cancel, claim.job_id, "ada"),
            )

            assert ledger.get(claim.job_id).state is JobState.CANCELLED

    def test_a_crowd_dispatches_one_key_and_one_job_is_made(self, ledger: Ledger) -> None:
        """Same name and key, same job (R24, I10)."""
        for turn in range(ROUNDS):
            key = f"welcome-{turn}"

            jobs = [new_job(idempotency_key=key) for _ in range(CROWD)]
            answers = at_once([partial(ledger.record_job, job, plan()) for job in jobs])

            assert sum(created for _, created in answers) == 1
            assert len({job.id for job, _ in answers}) == 1

    def test_a_crowd_records_one_step_and_the_first_write_stays(self, ledger: Ledger) -> None:
        """First write wins (rule 9)."""
        claim = started(ledger)
        rivals = [step(result=f'"{n}"') for n in range(CROWD)]

        at_once([partial(ledger.record, claim, rival) for rival in rivals])

        (kept,) = ledger.steps(claim.job_id)
        assert [each.result for each in ledger.begin(claim, "fetch", 0)] == [kept.result]

    def test_jobs_pass_through_a_crowd_and_each_ends_once(self, ledger: Ledger) -> None:
        """Workers and rescuers with messages old and new, and one outcome each (I1 to I4)."""
        jobs = [offered(ledger) for _ in range(CROWD)]

        outcomes = at_once([lambda: [_work(ledger, job) for job in jobs]] * CROWD)

        for n, job in enumerate(jobs):
            over = ledger.get(job.id)
            assert over.state is JobState.SUCCEEDED
            assert sum(wins[n] for wins in outcomes) == 1
            assert len(ledger.attempts(job.id)) == over.claims
            expect_sound_history(ledger, job.id)


def _work(ledger: Ledger, job: JobRecord) -> int:
    """Bring a job to its end beside other threads; count the successes of this one."""
    wins = 0
    while not (seen := ledger.get(job.id)).state.is_terminal:
        claim = ledger.claim(ticket(seen)) or ledger.claim(ticket(job))
        if claim is None:
            ledger.offer(seen, plan(SECOND if seen.engine == FIRST else FIRST))
            continue
        try:
            ledger.record(claim, step())
            wins += ledger.conclude(claim, SUCCESS) is JobState.SUCCEEDED
        except Fenced:
            continue
    return wins


def both(one: Callable[[], T], other: Callable[[], U]) -> tuple[T, U]:
    """Do two things in threads that start together."""
    barrier = threading.Barrier(2)
    with _hurry(), ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(_after, barrier, one), pool.submit(_after, barrier, other)
        return first.result(PATIENCE), second.result(PATIENCE)


def at_once(works: Sequence[Callable[[], T]]) -> list[T]:
    """Do everything in threads that start together; return what came of each."""
    barrier = threading.Barrier(len(works))
    with _hurry(), ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(_after, barrier, work) for work in works]
        return [each.result(PATIENCE) for each in begun]


def _after(barrier: threading.Barrier, work: Callable[[], T]) -> T:
    barrier.wait(PATIENCE)
    return work()


@contextmanager
def _hurry() -> Iterator[None]:
    """Switch threads as often as Python can, so that calls interleave."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
