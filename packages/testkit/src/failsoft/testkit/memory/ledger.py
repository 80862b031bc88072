"""The ledger of the kit: it is away on demand, and nothing of a worker that died reaches it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.errors import (
    LedgerUnavailableError,
    OptionInvalidError,
    TransactionUnsupportedError,
)
from failsoft.job_engine.ports.transactional import CallersTransaction
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    CancelOutcome,
    Claim,
    Conclusion,
    JobRecord,
    StepRecord,
    Ticket,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.testing import MemoryLedger
from failsoft.testkit.results import ProcessDied
from failsoft.testkit.traps import Trap, Traps

T = TypeVar("T")

_NO_DATABASE = (
    "the ledger's database, and this test's ledger is in memory; run the test on a database: "
    "@pytest.mark.failsoft(mode='real')"
)

#: The crash point of an offer, by the state of the job that is offered.
_OFFERS = {
    JobState.SCHEDULED: "offer",
    JobState.OFFERED: "reoffer",
    JobState.RUNNING: "recover",
}


class DyingLedger(MemoryLedger):
    """`MemoryLedger` that plays the deaths of workers.

    A death is raised where the worker was in the ledger, as `ProcessDied`. From then on every call
    of its attempt raises the same, the conclusion that the executor makes of it, too: what ran is
    a dead process, and leaves a running job whose lease is renewed no more.

    Attributes:
        traps: What is to befall attempts.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.traps: Traps = Traps(self._carry_out)
        self._is_dead = False
        self._away: dict[str, int] = {}

    def away(self, during: str | None, times: int) -> None:
        """Be away in the next calls of one name among the crash points, or of any."""
        if during is None:
            self.fail_next(times)
        else:
            self._away[during] = times

    def die(self, where: str) -> NoReturn:
        """Let the process that runs now die.

        Raises:
            ProcessDied: Always, and from every call until `start_process`.
        """
        self._is_dead = True
        raise ProcessDied(f"the process died at {where}")

    def start_process(self) -> None:
        """Let another process begin: its calls are answered."""
        self._is_dead = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the calls inside one transaction; a dead process makes none."""
        if self._is_dead:
            raise ProcessDied("the process is dead")
        with super().transaction():
            yield

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job."""
        return self._at("dispatch", lambda: super(DyingLedger, self).record_job(job, plan))

    def record_jobs(
        self, jobs: Sequence[tuple[NewJob, OfferPlan | None]]
    ) -> Sequence[tuple[JobRecord, bool]]:
        """Record many jobs."""
        return self._at("dispatch", lambda: super(DyingLedger, self).record_jobs(jobs))

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job."""
        return self._at("claim", lambda: super(DyingLedger, self).claim(ticket))

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority before a step."""
        found = self._at("begin", lambda: super(DyingLedger, self).begin(claim, name, seq))
        self.traps.beginning(claim, name, found)
        return found

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step."""
        self.traps.finishing(claim, step)
        self._at("step", lambda: super(DyingLedger, self).record(claim, step))
        self.traps.finished(claim, step)

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Refuse: there is no transaction to share.

        Raises:
            TransactionUnsupportedError: Always.
        """
        raise TransactionUnsupportedError(f"step {step.name!r} works in {_NO_DATABASE}")

    def within(self, session: object) -> CallersTransaction:
        """Refuse: a ledger in memory shares no database.

        Raises:
            OptionInvalidError: Always.
        """
        kind = type(session).__name__
        raise OptionInvalidError(f"a dispatch with session={kind} is recorded in {_NO_DATABASE}")

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt."""
        self.traps.concluding(claim, conclusion)
        state = self._at("conclude", lambda: super(DyingLedger, self).conclude(claim, conclusion))
        self.traps.concluded(claim, conclusion)
        return state

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew leases."""
        return self._at("renew", lambda: super(DyingLedger, self).renew(claims))

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        """Offer a job to an engine."""
        point = _OFFERS.get(seen.state, "offer")
        return self._at(point, lambda: super(DyingLedger, self).offer(seen, plan))

    def offer_many(self, seen: Sequence[JobRecord], plan: OfferPlan) -> Sequence[JobRecord]:
        """Hand over offered jobs."""
        return self._at("move", lambda: super(DyingLedger, self).offer_many(seen, plan))

    def park(self, seen: JobRecord, delay: timedelta, reason: str) -> JobRecord | None:
        """Put a job back that no engine took."""
        return self._at("park", lambda: super(DyingLedger, self).park(seen, delay, reason))

    def exhaust(self, seen: JobRecord, error: ErrorRecord) -> JobRecord | None:
        """Fail a job whose lease was lost once too often."""
        return self._at("exhaust", lambda: super(DyingLedger, self).exhaust(seen, error))

    def postpone(self, seen: JobRecord, span: timedelta, *, missed: bool = True) -> None:
        """Look at a waiting job again later."""
        call = super().postpone
        self._at("postpone", lambda: call(seen, span, missed=missed))

    def cancel(self, job_id: str, actor: str) -> CancelOutcome:
        """Cancel a job."""
        return self._at("cancel", lambda: super(DyingLedger, self).cancel(job_id, actor))

    def end_lease(self, job_id: str) -> None:
        """Let the lease of a running job be over now; its attempt is fenced at the next write.

        What a rescuer does to a job that stood still, at once.
        """
        with self.transaction():
            job = self._store.rows[job_id].record()
        if job.state is JobState.RUNNING:
            super().offer(job, OfferPlan(str(job.engine), timedelta(0), "lease lost: lose_lease"))

    def put_claims(self, job_id: str, claims: int) -> None:
        """Have a job look as if it had been claimed so often."""
        with self.transaction():
            self._store.rows[job_id] = replace(self._store.rows[job_id], claims=claims)

    def _at(self, point: str, call: Callable[[], T]) -> T:
        if self._away.get(point, 0) > 0:
            self._away[point] -= 1
            raise LedgerUnavailableError(f"the ledger is away during {point}: set by ledger_down")
        reached(f"{point}.before")
        found = call()
        reached(f"{point}.after")
        return found

    def _carry_out(self, trap: Trap, claim: Claim, step: str) -> None:
        if trap.deed == "die":
            self.die(f"{trap.moment} step {step!r}")
        if trap.deed == "cancel":
            super().cancel(claim.job_id, "testkit")
        if trap.deed == "lose":
            self.end_lease(claim.job_id)
