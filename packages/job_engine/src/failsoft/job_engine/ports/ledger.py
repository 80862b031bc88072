"""The contracts: what the core needs of the world, in the core's own words.

Adapters depend on these; never the reverse. Each ledger passes
`failsoft.testing.ledger_suite`, each engine `failsoft.testing.engine_suite`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, Unpack

from failsoft.job_engine.policies.limits import Limits, LimitUse
from failsoft.job_engine.ports.bulk import BulkLedger
from failsoft.job_engine.ports.clock import ClockLedger
from failsoft.job_engine.ports.console import ConsoleLedger
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.ports.expiry import ExpiryLedger
from failsoft.job_engine.ports.flow import FlowLedger
from failsoft.job_engine.ports.hand_over import HandOverLedger
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.ports.keys import KeyLedger
from failsoft.job_engine.ports.measures import Batch, MeasureLedger
from failsoft.job_engine.ports.notices import NoticeLedger
from failsoft.job_engine.ports.offered import OfferedLedger
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.ports.routes import RouteLedger
from failsoft.job_engine.ports.traces import TraceLedger
from failsoft.job_engine.ports.transactional import TransactionalLedger
from failsoft.job_engine.ports.waits import WaitLedger
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    AttemptRecord,
    CancelOutcome,
    Claim,
    Conclusion,
    DispatchTry,
    HistoryEntry,
    JobRecord,
    Progress,
    StepRecord,
    Ticket,
    WorkerRecord,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.schedules import ScheduleLedger
from failsoft.job_engine.records.states import JobState


class ReturnLedger(Protocol):
    """The ledger as a process needs it that gives claims back which it can use no more."""

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt, as `AttemptLedger.conclude` does."""
        ...

    def uncharge(self, claim: Claim) -> bool:
        """Take back the crash that a rescuer charged for a lease that was lost to an outage.

        Called by the process that had the claim, and lives: it was cut off from the ledger, and
        nothing of that was the job's doing (R18). Once for each claim, however often it is
        repeated; a job that has ended keeps its counters (I4).

        Returns:
            Whether a crash was taken back, by this call or an earlier one.
        """
        ...


class AttemptLedger(WaitLedger, ReturnLedger, Protocol):
    """The ledger as an attempt needs it. Each write starts with the fence (rule 7).

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job; None if the offer is void (rule 6).

        Repeating it with the same claim id after a lost reply returns the same claim.

        Raises:
            JobDeferredError: If the limits of the job leave no room (I12); it is `scheduled` then.
        """
        ...

    def claim_many(self, tickets: Sequence[Ticket]) -> Sequence[Claim]:
        """Take several offered jobs in few transactions; return the claims that were made.

        Each has a fence of its own. What is left out is claimed alone, by `claim` with the same
        ticket: it is void, limited or locked by another transaction, or was claimed before its
        reply was lost. So are all of them where this raises.
        """
        ...

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority and return the records of that name or that place (rule 8).

        Raises:
            Fenced: If another attempt has the authority.
            CancelRequested: If the job was cancelled.
        """
        ...

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step, once (rule 9), or the intent of one; repeating it is harmless.

        A step of kind `once` is recorded before it begins, as an intent, and its result takes
        that one's place (rules 8 and 10).

        Raises:
            Fenced: If another attempt has the authority.
        """
        ...

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Do a step's work in the transaction that records it: both or neither (rule 11).

        `work` gets a connection to the ledger's database and returns the result as JSON; it is
        called again if the transaction failed for a passing reason.

        Raises:
            Fenced: If another attempt has the authority.
            TransactionUnsupportedError: If the ledger has no such transactions.
        """
        ...

    def silence(self, thread: int) -> float:
        """Return for how many seconds the ledger has been silent while a thread waits for it.

        0.0 where the thread waits for no answer, and where other connections of this process had
        theirs for most of the time: then it is its own statement that takes so long.
        """
        ...

    def note_progress(self, claim: Claim, progress: Progress) -> None:
        """Keep how far a job has come, in the place of what it said before.

        Raises:
            Fenced: If another attempt has the authority.
        """
        ...

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt; return the state the job is in then.

        Repeating it after a lost reply is harmless. A pending cancel request turns every
        conclusion but success into `cancelled` (I9).

        Raises:
            Fenced: If another attempt has the authority.
        """
        ...

    def renew(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Renew leases in one transaction; return those that still have the authority (rule 12).

        One transaction for all, or a process with many attempts would wait in the queue of
        writers once for each of them.
        """
        ...


class OfferLedger(Protocol):
    """The ledger as the dispatcher, the rescuer and the scheduler need it."""

    @property
    def system(self) -> str:
        """The kind of its database, as OpenTelemetry names it: `sqlite`, `postgresql`."""
        ...

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in one commit, already offered if there is a plan (rules 1 and 3).

        Returns:
            The job and whether it is new; a job of the same name and idempotency key is
            returned as it is.
        """
        ...

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        """Hand over with a new epoch; None if the job is no longer as it was seen (rule 4)."""
        ...

    def park(self, seen: JobRecord, delay: timedelta, reason: str) -> JobRecord | None:
        """Put an offered job that no engine took back to `scheduled`."""
        ...

    def exhaust(self, seen: JobRecord, error: ErrorRecord) -> JobRecord | None:
        """Fail a running job whose lease was lost once too often."""
        ...

    def postpone(self, seen: JobRecord, span: timedelta, *, missed: bool = True) -> None:
        """Look at a waiting job again after `span`: an offer, or one that is due.

        Changes no state; a job that is no longer as it was seen is left alone.

        Args:
            seen: The job.
            span: How long.
            missed: Whether that counts as a pickup that an offer missed.
        """
        ...

    def note_tries(
        self, tries: Sequence[tuple[str, DispatchTry]], measured: Batch | None = None
    ) -> None:
        """Keep what became of offers: pairs of job id and try; repeating it is harmless.

        Args:
            tries: Pairs of job id and try.
            measured: What the process has counted; added in the same transaction.
        """
        ...

    def cancel(self, job_id: str, actor: str) -> CancelOutcome:
        """Cancel a job that waits, or request that of the attempt that runs it (R20).

        Raises:
            JobNotFoundError: If there is no such job.
        """
        ...


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What a rescuer watches of a running job (rule 12).

    Attributes:
        expired: Whether the lease has run out on the database's clock.
        is_orphan: Whether the process that runs it is marked as dead since it claimed the job.
    """

    job_id: str
    epoch: int
    revision: int
    lease: timedelta
    expired: bool
    is_orphan: bool = False


class RescueLedger(Protocol):
    """What a rescuer sees of the jobs. All time comparisons are the database's (rule 12)."""

    def due(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        """Return scheduled jobs whose time has come, the most urgent first.

        Args:
            limit: How many at most, of those within reach.
            reach: Leave out what the process may not offer; None leaves out nothing.
        """
        ...

    def unclaimed(self, limit: int, reach: Reach | None = None) -> Sequence[JobRecord]:
        """Return offered jobs whose pickup deadline has passed.

        Args:
            limit: How many at most of each engine and queue, the nearest deadline first: what
                waits at one engine hides nothing of what waits at another.
            reach: Leave out what is not the process's to look into; None leaves out nothing.
        """
        ...

    def hasten(self, engine: str, queue: str, beyond: timedelta) -> None:
        """Let the pickup deadlines of an engine's offers pass now that are further away.

        Changes nothing else: what was offered stays where it is, and may be claimed.

        Args:
            engine: The engine that the jobs are offered to.
            queue: Their queue.
            beyond: Nearer deadlines than this are left as they are.
        """
        ...

    def running(self) -> Sequence[RunningJob]:
        """Return every running job, and whether its lease has run out.

        A lease that ends later than a whole one from now has run out, too: a clock that was ahead
        wrote it.
        """
        ...


class LedgerReader(Protocol):
    """What people and programs read."""

    def get(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            JobNotFoundError: If there is no such job.
        """
        ...

    def list_jobs(self, *, limit: int = 50, **wanted: Unpack[JobFilter]) -> Sequence[JobRecord]:
        """Return jobs, the newest first.

        Args:
            limit: How many at most.
            wanted: See `JobFilter`.
        """
        ...

    def find_ids(self, beginning: str, limit: int) -> Sequence[str]:
        """Return the ids of jobs that begin so, in their order, `limit` at most."""
        ...

    def steps(self, job_id: str) -> Sequence[StepRecord]:
        """Return the recorded steps in their order."""
        ...

    def attempts(self, job_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts, the first first."""
        ...

    def tries(self, job_id: str) -> Sequence[DispatchTry]:
        """Return the dispatch tries, the first first."""
        ...

    def events(self, job_id: str) -> Sequence[HistoryEntry]:
        """Return the history, the first event first."""
        ...

    def limit_uses(self, limits: Limits) -> Sequence[LimitUse]:
        """Return how much of the room is taken that the limits of a job leave."""
        ...

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state; states without any are left out."""
        ...


class WorkerLedger(Protocol):
    """The workers, live for `ttl` after their last beat on the database's clock.

    A beat from ahead of that clock is taken for as old as the first look that finds it.
    """

    def beat(self, worker: WorkerRecord, ttl: timedelta, measured: Batch | None = None) -> None:
        """Record that a worker process lives, and add what it has counted."""
        ...

    def retire(self, boot_id: str) -> None:
        """Forget a worker that stops."""
        ...

    def live_workers(self) -> Sequence[WorkerRecord]:
        """Return the workers whose last beat is fresh."""
        ...

    def mark_dead(self, worker: WorkerRecord) -> None:
        """Mark a worker process as dead, also one that never beat; repeating it is harmless.

        Only for a process that is known to have ended: its parent reaped it, or its host has it
        no more. A beat that is overdue says nothing of the kind. What it had claimed by now is
        handed over without waiting for the lease. A wrong mark costs a living process the jobs
        that it has, and no more: what it claims later is its own, and its next beat counts.
        """
        ...

    def workers_on(self, machine: str) -> Sequence[WorkerRecord]:
        """Return the workers of a machine that are not marked as dead, however old their beat."""
        ...


class Ledger(
    AttemptLedger,
    ReturnLedger,
    OfferLedger,
    OfferedLedger,
    BulkLedger,
    TransactionalLedger,
    ExpiryLedger,
    RescueLedger,
    HandOverLedger,
    ClockLedger,
    ControlLedger,
    RouteLedger,
    LedgerReader,
    WorkerLedger,
    KeyLedger,
    ScheduleLedger,
    FlowLedger,
    MeasureLedger,
    TraceLedger,
    ConsoleLedger,
    NoticeLedger,
    Protocol,
):
    """The whole ledger: the only authority over every job."""
