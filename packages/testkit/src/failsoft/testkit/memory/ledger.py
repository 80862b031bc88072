"""The ledger of the kit: it is away on demand, and nothing of a worker that died reaches it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, NoReturn, TypeVar

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.crash_points import reached
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    CancelOutcome,
    Claim,
    Conclusion,
    JobRecord,
    StepKind,
    StepRecord,
    Ticket,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.testing import MemoryLedger
from failsoft.testkit.results import ProcessDied

T = TypeVar("T")

Moment = Literal["before", "during", "after"]
Deed = Literal["die", "cancel", "lose"]

#: The crash point of an offer, by the state of the job that is offered.
_OFFERS = {
    JobState.SCHEDULED: "offer",
    JobState.OFFERED: "reoffer",
    JobState.RUNNING: "recover",
}


@dataclass(frozen=True, slots=True)
class Trap:
    """What befalls the next attempt that comes to a step.

    Attributes:
        step: The step's name; None for the first one.
        job_id: The job; None for any.
        moment: Before its body, when its body has returned, or when it is recorded.
    """

    deed: Deed
    moment: Moment
    step: str | None
    job_id: str | None = None


class DyingLedger(MemoryLedger):
    """`MemoryLedger` that plays the deaths of workers.

    A death is raised where the worker was in the ledger, as `ProcessDied`. From then on every call
    of its attempt raises the same, the conclusion that the executor makes of it, too: what ran is
    a dead process, and leaves a running job whose lease is renewed no more.

    Attributes:
        traps: What is to befall attempts; each does so once.
        bodies: The steps of each job whose bodies returned: pairs of epoch and name.
        begun: The step that an attempt began last, by its claim.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.traps: list[Trap] = []
        self.bodies: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self.begun: dict[str, str] = {}
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
        if not any(step.kind is not StepKind.INTENT for step in found):
            self.begun[claim.claim_id] = name
            self._spring("before", claim, name)
        return found

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step."""
        finished = step.kind is not StepKind.INTENT
        if finished:
            self._note_body(claim, step.name)
            self._spring("during", claim, step.name)
        self._at("step", lambda: super(DyingLedger, self).record(claim, step))
        if finished:
            self._spring("after", claim, step.name)

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt."""
        slept = conclusion.step
        if slept is not None:
            self._spring("during", claim, slept.name)
        state = self._at("conclude", lambda: super(DyingLedger, self).conclude(claim, conclusion))
        if slept is not None:
            self._spring("after", claim, slept.name)
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

    def unfinished(self) -> list[JobRecord]:
        """Return the jobs that have not ended."""
        with self.transaction():
            return [row.record() for row in self._store.rows.values() if not row.state.is_terminal]

    def idle_for(self) -> timedelta | None:
        """Return for how long nothing happens by itself; None while a job is offered or runs."""
        jobs, (now, schedules) = self.unfinished(), self.schedules()
        if any(job.state in (JobState.OFFERED, JobState.RUNNING) for job in jobs):
            return None
        times = [each.next_at for each in schedules if not each.paused]
        times += [at for job in jobs for at in (job.run_at, job.expires_at) if at is not None]
        return min((at - now for at in times if at > now), default=timedelta.max)

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

    def _note_body(self, claim: Claim, name: str) -> None:
        # A record that is repeated after a lost reply is of the same body.
        done = (claim.epoch, name)
        if done not in self.bodies[claim.job_id]:
            self.bodies[claim.job_id].append(done)

    def _spring(self, moment: Moment, claim: Claim, step: str) -> None:
        for trap in list(self.traps):
            if (trap.moment, trap.step or step, trap.job_id or claim.job_id) == (
                *(moment, step, claim.job_id),
            ):
                self.traps.remove(trap)
                self._carry_out(trap, claim, step)

    def _carry_out(self, trap: Trap, claim: Claim, step: str) -> None:
        if trap.deed == "die":
            self.die(f"{trap.moment} step {step!r}")
        if trap.deed == "cancel":
            super().cancel(claim.job_id, "testkit")
        if trap.deed == "lose":
            self.end_lease(claim.job_id)
