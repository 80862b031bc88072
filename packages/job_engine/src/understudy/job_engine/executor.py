"""Running one attempt, as a chain of named steps."""

from dataclasses import replace
from functools import partial

from understudy.job_engine import outcome
from understudy.job_engine.async_context import AsyncJobContext
from understudy.job_engine.async_running import run_coroutine
from understudy.job_engine.catalogue import Catalogue
from understudy.job_engine.clock import Clock
from understudy.job_engine.context import JobContext
from understudy.job_engine.definition import AnyDefinition
from understudy.job_engine.errors import MissingHandlerError, UnknownJobError
from understudy.job_engine.events import Event, Listener, ignore
from understudy.job_engine.interrupts import Fenced, Interrupt
from understudy.job_engine.lease import Lease
from understudy.job_engine.patience import PatientLedger
from understudy.job_engine.ports import AttemptLedger
from understudy.job_engine.records import Claim, Conclusion
from understudy.job_engine.states import JobState
from understudy.job_engine.time_limit import AttemptLimits, End

AnyContext = JobContext | AsyncJobContext


class Executor:
    """Run claimed attempts: find the job, call it, record how it ended, tell.

    It knows no engine. What woke it, what renews the lease and in which process it runs are
    other people's business.
    """

    def __init__(
        self, ledger: AttemptLedger, catalogue: Catalogue, clock: Clock, listener: Listener = ignore
    ) -> None:
        """Serve the jobs of a catalogue."""
        self._ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._listener = listener

    def run(self, claim: Claim, lease: Lease) -> JobState | None:
        """Run one attempt to its end and record it; never raises for the job's sake.

        Returns:
            The state the job is in then, or None if the attempt was fenced and recorded
            nothing (I3).
        """
        started = self._clock.steady()
        ledger = PatientLedger(self._ledger, lease, self._clock)
        try:
            conclusion = self._attempt(claim, lease, ledger)
            state = ledger.conclude(claim, conclusion)
        except Fenced:
            self._listener(_event("job.fenced", claim))
            return None
        self._listener(_concluded(claim, conclusion, state, self._clock.steady() - started))
        return state

    def conclude(self, claim: Claim, conclusion: Conclusion, lease: Lease) -> JobState | None:
        """Record the end of an attempt that ran, and ended, somewhere else."""
        try:
            state = PatientLedger(self._ledger, lease, self._clock).conclude(claim, conclusion)
        except Fenced:
            self._listener(_event("job.fenced", claim))
            return None
        self._listener(_concluded(claim, conclusion, state, None))
        return state

    def _attempt(self, claim: Claim, lease: Lease, ledger: AttemptLedger) -> Conclusion:
        try:
            definition = self._catalogue.get(claim.name)
        except UnknownJobError as error:
            return outcome.unknown(claim, error)
        if claim.version > definition.version:
            return outcome.too_old(claim, definition.version)
        give_up = partial(self._give_up, definition, claim, lease)
        limits = AttemptLimits(definition.attempt_timeout, give_up)
        kind = AsyncJobContext if definition.is_async else JobContext
        ctx = kind(claim, ledger, lease, self._clock, limits=limits)
        try:
            conclusion = self._call(definition, claim, ctx, lease)
            ctx.flush()
        except Interrupt as interrupt:
            return outcome.interrupted(definition, claim, interrupt)
        # A job that swallowed the interrupt and went on is over all the same.
        return outcome.interrupted(definition, claim, ctx.ended_by) if ctx.ended_by else conclusion

    def _give_up(self, definition: AnyDefinition, claim: Claim, lease: Lease, end: End) -> None:
        """End an attempt whose code hangs where no interrupt reaches it."""
        # Whatever it does when it comes back, it does without authority (I3).
        lease.revoke(Fenced)
        if isinstance(end, Interrupt):
            conclusion = outcome.interrupted(definition, claim, end)
        else:
            conclusion = outcome.raised(definition, claim, end)
        self.conclude(claim, conclusion, Lease())

    def _call(
        self, definition: AnyDefinition, claim: Claim, ctx: AnyContext, lease: Lease
    ) -> Conclusion:
        try:
            payload = definition.decode(claim.payload, claim.version)
            if isinstance(ctx, AsyncJobContext):
                value = run_coroutine(definition.start(payload, ctx), lease)
            else:
                with lease.job_code():
                    value = definition.call(payload, ctx)
        except MissingHandlerError as error:
            return outcome.unknown(claim, error)
        except Interrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever job code raises is its outcome
            return outcome.raised(definition, claim, _as_error(error))
        return outcome.succeeded(definition, value)


def _as_error(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    # SystemExit, CancelledError and the like end the attempt, not the worker.
    wrapped = RuntimeError(f"the job raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _event(kind: str, claim: Claim, **detail: object) -> Event:
    return Event(
        kind,
        job_id=claim.job_id,
        name=claim.name,
        queue=claim.queue,
        engine=claim.engine,
        epoch=claim.epoch,
        detail={"attempt": claim.attempt, "worker": claim.worker, **detail},
    )


def _concluded(
    claim: Claim, conclusion: Conclusion, state: JobState, elapsed: float | None
) -> Event:
    detail: dict[str, object] = {"state": str(state)}
    if elapsed is not None:
        detail["duration_s"] = round(elapsed, 4)
    if conclusion.reason:
        detail["reason"] = conclusion.reason
    event = _event(f"job.{conclusion.transition.name}", claim, **detail)
    if state is JobState.FAILED:
        # The traceback is told once, when the job has failed for good.
        return replace(event, error=conclusion.error)
    return event
