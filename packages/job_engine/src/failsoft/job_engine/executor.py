"""Running one attempt, as a chain of named steps."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from pydantic import BaseModel

from failsoft.job_engine import outcome
from failsoft.job_engine.attempt.context_variables import own_copy
from failsoft.job_engine.attempt.event_loop import run_coroutine
from failsoft.job_engine.attempt.interrupts import CutOff, Fenced, Interrupt, LedgerRefused
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.retrying_ledger import RetryingLedger
from failsoft.job_engine.attempt.time_limit import AttemptLimits, End
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.definitions.surroundings import surrounded
from failsoft.job_engine.errors import (
    LedgerError,
    MissingHandlerError,
    UnknownJobError,
    is_trouble,
)
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.ports.traces import TraceLedger
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import AttemptRecord, Claim, Conclusion, HistoryEntry
from failsoft.job_engine.records.states import (
    CRASH,
    CRASH_OUT,
    RELEASE,
    RESUME,
    STOP,
    TRANSITIONS,
    JobState,
)
from failsoft.job_engine.records.trace_context import kept
from failsoft.job_engine.steps.async_context import AsyncJobContext
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.telemetry import Event, Listener, ignore
from failsoft.job_engine.tracing import UNTRACED, AttemptSpan, tracer

AnyContext = JobContext | AsyncJobContext
#: Takes over the end of an attempt that the ledger refuses to record.
Unrecorded = Callable[[Claim, Conclusion], None]

#: What an attempt, or a person, makes of a job on its merits.
_ENDS = frozenset(t.name for t in TRANSITIONS if t.ends_attempt) | {RESUME.name}

#: The ends that are crashes themselves: another one's charge for the same attempt is theirs.
_CRASHES = frozenset({CRASH.name, CRASH_OUT.name})
#: The share of a lease for which an end has waited that lost its claim to the ledger's outage.
_WAITED = 0.25

logger: logging.Logger = logging.getLogger("failsoft.executor")


class ExecutorLedger(AttemptLedger, TraceLedger, Protocol):
    """The ledger as the executor needs it."""

    def events(self, job_id: str) -> Sequence[HistoryEntry]:
        """Return the history, the first event first."""
        ...

    def attempts(self, job_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts, the first first."""
        ...


def note_unrecorded(claim: Claim, conclusion: Conclusion) -> None:
    """Log an end that the ledger did not take; the job goes on when the lease has run out."""
    logger.error("job %s: no end of the attempt could be recorded: %s", claim.job_id, conclusion)


class Executor:
    """Run claimed attempts: find the job, call it, record how it ended, emit the event.

    It depends on no engine, nor on what woke it, what renews the lease and in which process it
    runs.
    """

    def __init__(
        self,
        ledger: ExecutorLedger,
        catalogue: Catalogue,
        clock: Clock,
        listener: Listener = ignore,
        *,
        unrecorded: Unrecorded = note_unrecorded,
        measures: Measures | None = None,
    ) -> None:
        """Serve the jobs of a catalogue.

        Args:
            ledger: Where attempts are recorded.
            catalogue: The jobs.
            clock: Where time comes from.
            listener: What is called with every event.
            unrecorded: Takes over the end of an attempt that the ledger refuses to record.
            measures: Where steps are counted.
        """
        self._ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._listener = listener
        self._unrecorded = unrecorded
        self._measures = measures or Measures()

    def run(self, claim: Claim, lease: Lease) -> JobState | None:
        """Run one attempt to its end and record it; never raises for the job's sake.

        What the job sets of context variables, decimal contexts among them, ends with it.

        Returns:
            The state the job is in then, or None if nothing was recorded: the attempt was
            fenced (I3), or its claim is given back when the ledger answers again.
        """
        return own_copy().run(self._run, claim, lease)

    def _run(self, claim: Claim, lease: Lease) -> JobState | None:
        with tracer().attempt(claim) as span:
            self._note_trace(claim, span)
            return self._run_traced(claim, lease, span)

    def _note_trace(self, claim: Claim, span: AttemptSpan) -> None:
        """Leave the trace of this attempt for the next one, and link to the one before."""
        context = kept(span.carrier)
        if context is None:
            return
        try:
            before = self._ledger.note_trace(claim, context)
        except LedgerError:
            # What is lost is a link.
            return
        if before is not None:
            span.after(before)

    def _run_traced(self, claim: Claim, lease: Lease, span: AttemptSpan) -> JobState | None:
        started = self._clock.steady()
        try:
            ledger = RetryingLedger(self._ledger, lease, self._clock)
            conclusion = self._attempt(claim, lease, ledger, span)
        except Fenced:
            self._fenced(claim, span)
            return None
        except CutOff:
            self._fenced(claim, span, reason=outcome.LEDGER_AWAY)
            return None
        except LedgerRefused as refused:
            conclusion = self._refused(claim, refused.cause)
        except BaseException as error:  # noqa: BLE001 - a defect of ours is no error of the job's
            # Nor does it end the slot, whatever it is.
            lease.end_fork(error)
            conclusion = self._refused(claim, _as_error(error))
        lease.end_fork()
        return self._record(claim, conclusion, lease, started, span=span)

    def conclude(self, claim: Claim, conclusion: Conclusion, lease: Lease) -> JobState | None:
        """Record the end of an attempt that ran, and ended, somewhere else."""
        return self._record(claim, conclusion, lease)

    def conclude_dead(
        self, claim: Claim, conclusion: Conclusion | None, lease: Lease, started: datetime
    ) -> JobState | None:
        """Record the end of an attempt whose process died, with the span that died with it.

        Args:
            claim: The attempt's.
            conclusion: Its end; None if it is not this attempt's to record any more.
            lease: The attempt's.
            started: When the process was started.
        """
        left = None if tracer() is UNTRACED else self._trace_left(claim)
        with tracer().died(claim, started, left) as span:
            # From now on it leads to a span that is exported.
            self._note_trace(claim, span)
            if conclusion is None:
                span.concluded("fenced")
                return None
            return self._record(claim, conclusion, lease, span=span)

    def _trace_left(self, claim: Claim) -> str | None:
        try:
            attempts = self._ledger.attempts(claim.job_id)
        except LedgerError:
            # What is lost is where the span belongs.
            return None
        mine = (each for each in attempts if each.claim_id == claim.claim_id)
        return next((each.trace_context for each in mine), None)

    def _fenced(self, claim: Claim, span: AttemptSpan, **detail: object) -> None:
        span.concluded("fenced")
        self._listener(attempt_event("job.fenced", claim, **detail))

    def _record(
        self,
        claim: Claim,
        conclusion: Conclusion,
        lease: Lease,
        started: float | None = None,
        *,
        span: AttemptSpan = UNTRACED,
    ) -> JobState | None:
        lease.end()
        ledger = RetryingLedger(self._ledger, lease, self._clock)
        began = self._clock.steady()
        try:
            try:
                state = ledger.conclude(claim, conclusion)
            except LedgerRefused as refused:
                conclusion = self._refused(claim, refused.cause)
                state = ledger.conclude(claim, conclusion)
        except Fenced:
            self._fenced(claim, span)
            waited = self._clock.steady() - began
            is_late = waited >= claim.lease.total_seconds() * _WAITED
            if is_late and conclusion.transition.name not in _CRASHES:
                self._uncharge(claim)
            return None
        except LedgerRefused:
            span.concluded("unrecorded")
            self._unrecorded(claim, conclusion)
            return None
        # A cancel that was requested meanwhile won (I9).
        ended = STOP if state is JobState.CANCELLED else conclusion.transition
        span.concluded(ended.name, conclusion.error)
        elapsed = None if started is None else self._clock.steady() - started
        self._listener(concluded_event(claim, conclusion, state, elapsed))
        return state

    def _uncharge(self, claim: Claim) -> None:
        """Take back the crash that a rescuer took the wait of an end for (R18)."""
        # As at an end that is worth waiting for, however long the ledger is away.
        ledger = RetryingLedger(self._ledger, Lease(), self._clock)
        try:
            is_done = ledger.uncharge(claim)
        except LedgerRefused:
            logger.exception("the ledger refuses to take the crash of job %s back", claim.job_id)
            return
        if is_done:
            self._listener(attempt_event("job.uncharge", claim))

    def _refused(self, claim: Claim, cause: Exception) -> Conclusion:
        """Decide about an attempt that the ledger's trouble ended, and emit the event."""
        before = self._refusals_before(claim)
        event = attempt_event("job.refused", claim, times=before + 1)
        self._listener(replace(event, error=ErrorRecord.of(cause)))
        return outcome.refused(cause, before)

    def _refusals_before(self, claim: Claim) -> int:
        """Count how often in a row the job was given back because the ledger refused something."""
        try:
            events = self._ledger.events(claim.job_id)
        except Exception:
            logger.exception("the history of job %s could not be read", claim.job_id)
            return 0
        count = 0
        for event in reversed(events):
            if event.kind == RELEASE.name:
                count += str(event.detail.get("reason", "")).startswith(outcome.REFUSED)
            elif event.kind in _ENDS:
                break
        return count

    def _attempt(
        self, claim: Claim, lease: Lease, ledger: AttemptLedger, span: AttemptSpan
    ) -> Conclusion:
        try:
            definition = self._catalogue.of(claim)
        except UnknownJobError:
            return outcome.unknown(claim)
        if claim.version > definition.version:
            return outcome.too_old(claim, definition.version)
        give_up = partial(self._give_up, definition, claim, lease)
        limits = AttemptLimits(definition.timeout_on(claim.queue), give_up)
        kind = AsyncJobContext if definition.is_async else JobContext
        steps = self._measures.steps_of(claim.name)
        ctx = kind(claim, ledger, lease, self._clock, limits=limits, count=steps, trace=span)
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
        # A lease of its own: the end is worth waiting for, however long the ledger is away.
        self.conclude(claim, conclusion, Lease())

    def _call(
        self, definition: AnyDefinition, claim: Claim, ctx: AnyContext, lease: Lease
    ) -> Conclusion:
        try:
            payload = definition.decode(claim.payload, claim.version)
        except Exception as error:
            if is_trouble(error):
                raise LedgerRefused(error) from error
            return outcome.unreadable(definition, claim, error)
        try:
            # Outside of what an interrupt cuts off: what a context gives back, it gives back.
            with surrounded():
                value = _handled(definition, payload, ctx, lease)
        except MissingHandlerError:
            return outcome.unknown(claim)
        except Interrupt:
            raise
        except BaseException as error:
            if is_trouble(error):
                # From a dispatch or a look of its own, which it did not catch.
                raise LedgerRefused(_as_error(error)) from error
            return outcome.raised(definition, claim, _as_error(error))
        return outcome.succeeded(definition, value)


def _handled(definition: AnyDefinition, payload: BaseModel, ctx: AnyContext, lease: Lease) -> Any:
    if isinstance(ctx, AsyncJobContext):
        return run_coroutine(definition.start(payload, ctx), lease)
    with lease.job_code():
        return lease.call(partial(definition.call, payload, ctx))


def _as_error(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    # SystemExit, CancelledError and the like end the attempt, not the worker.
    wrapped = RuntimeError(f"the job raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def attempt_event(kind: str, claim: Claim, **detail: object) -> Event:
    """Return an event of an attempt."""
    return Event.of(claim, kind, attempt=claim.attempt, worker=claim.worker, **detail)


def concluded_event(
    claim: Claim, conclusion: Conclusion, state: JobState, elapsed: float | None = None
) -> Event:
    """Return the event of an attempt whose end is recorded."""
    detail: dict[str, object] = {"state": str(state)}
    if elapsed is not None:
        detail["duration_s"] = round(elapsed, 4)
        if state.is_terminal and claim.age is not None:
            detail["latency_s"] = round(claim.age.total_seconds() + elapsed, 4)
    if conclusion.reason:
        detail["reason"] = conclusion.reason
    if conclusion.error is not None:
        detail["error"] = conclusion.error.message
    event = attempt_event(f"job.{conclusion.transition.name}", claim, **detail)
    if state is JobState.FAILED:
        # The traceback is emitted once, when the job has failed for good.
        return replace(event, error=conclusion.error)
    return event
