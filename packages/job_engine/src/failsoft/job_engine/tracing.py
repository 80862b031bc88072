"""Tracing: where the spans of a process begin and end; without a tracer they are nothing.

The tracer is the process's: what a program instruments, it instruments once, before or after its
dispatcher is made. `failsoft.telemetry` has the one for OpenTelemetry.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, Protocol, Self

from failsoft.job_engine.ports.traces import AttemptTrace
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Claim, JobRecord, StepRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.trace_context import kept


class Span(Protocol):
    """Something that takes time, and is not over yet."""

    @property
    def carrier(self) -> Mapping[str, str]:
        """Its trace as HTTP headers have it; empty where it is recorded nowhere."""
        ...

    def note(self, **facts: object) -> None:
        """Add facts: texts, numbers or sequences of texts; None is no fact."""
        ...

    def link(self, context: str | None) -> None:
        """Link to the trace of a job, as its ledger keeps it."""
        ...


class AttemptSpan(Span, Protocol):
    """One attempt; its steps are spans within it."""

    def after(self, before: AttemptTrace) -> None:
        """Link to the attempt before it."""
        ...

    def step(self, name: str) -> AbstractContextManager[object]:
        """Return what is entered while code of a step runs; it is over when it is recorded.

        A step that an interrupt ends, or that is not recorded, ends with the attempt.
        """
        ...

    def recorded(self, step: StepRecord) -> None:
        """End a step that the ledger has recorded."""
        ...

    def reused(self, step: StepRecord) -> None:
        """Note a step that was recorded before, and did not run."""
        ...

    def concluded(self, outcome: str, error: ErrorRecord | None = None) -> None:
        """Note how the attempt ended: a transition's name, `fenced` or `unrecorded`."""
        ...


class Tracer(Protocol):
    """Begins the spans of a process. No method raises."""

    def dispatch(self, queue: str, job: str) -> AbstractContextManager[Span]:
        """Begin a dispatch: of one job, or of several to one queue."""
        ...

    def record(self, system: str) -> AbstractContextManager[Span]:
        """Begin the commit that records jobs, in a database of this kind."""
        ...

    def send(self, job: JobRecord, count: int = 1) -> AbstractContextManager[Span]:
        """Begin to offer jobs to the engine of this one, which is the first of them."""
        ...

    def attempt(self, claim: Claim) -> AbstractContextManager[AttemptSpan]:
        """Begin an attempt."""
        ...

    def died(
        self, claim: Claim, started: datetime, left: str | None
    ) -> AbstractContextManager[AttemptSpan]:
        """Begin the span of an attempt whose process died, and with it the span that was open.

        Args:
            claim: The attempt's.
            started: When its process was started.
            left: The trace that the attempt has noted in the ledger; None if it has not.
        """
        ...

    def maintain(self, kind: Literal["rescue", "schedule"]) -> AbstractContextManager[Span]:
        """Begin a rescue of jobs, or the firing of a tick."""
        ...

    def failed_over(self, job: JobRecord, engine: str | None, reason: str) -> None:
        """Note in the span that is current that a job is offered to another engine.

        Args:
            job: The job, with its new engine.
            engine: The engine that did not take it.
            reason: Why.
        """
        ...

    def lost(self, job: JobRecord, outcome: str) -> None:
        """Note in the span that is current that an attempt is taken for lost.

        Args:
            job: The job as it was in that attempt.
            outcome: The name of the transition that ended it.
        """
        ...

    def ids(self) -> Mapping[str, str]:
        """Return `trace_id` and `span_id` of the current span for a log line; empty for none."""
        ...

    def flush(self, seconds: float) -> None:
        """Send what is not sent yet, and wait so long for it at most."""
        ...


_NOTHING: Mapping[str, str] = MappingProxyType({})


class Untraced:
    """A tracer and its spans that are nothing."""

    carrier: Mapping[str, str] = _NOTHING

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def dispatch(self, queue: str, job: str) -> Self:
        """Begin nothing."""
        return self

    def record(self, system: str) -> Self:
        """Begin nothing."""
        return self

    def send(self, job: JobRecord, count: int = 1) -> Self:
        """Begin nothing."""
        return self

    def attempt(self, claim: Claim) -> Self:
        """Begin nothing."""
        return self

    def died(self, claim: Claim, started: datetime, left: str | None) -> Self:
        """Begin nothing."""
        return self

    def maintain(self, kind: Literal["rescue", "schedule"]) -> Self:
        """Begin nothing."""
        return self

    def failed_over(self, job: JobRecord, engine: str | None, reason: str) -> None:
        """Do nothing."""

    def lost(self, job: JobRecord, outcome: str) -> None:
        """Do nothing."""

    def ids(self) -> Mapping[str, str]:
        """Return nothing."""
        return _NOTHING

    def flush(self, seconds: float) -> None:
        """Do nothing."""

    def note(self, **facts: object) -> None:
        """Do nothing."""

    def link(self, context: str | None) -> None:
        """Do nothing."""

    def after(self, before: AttemptTrace) -> None:
        """Do nothing."""

    def step(self, name: str) -> Self:
        """Begin nothing."""
        return self

    def recorded(self, step: StepRecord) -> None:
        """Do nothing."""

    def reused(self, step: StepRecord) -> None:
        """Do nothing."""

    def concluded(self, outcome: str, error: ErrorRecord | None = None) -> None:
        """Do nothing."""


UNTRACED: Untraced = Untraced()
_current: Tracer = UNTRACED


def tracer() -> Tracer:
    """Return the process's tracer."""
    return _current


def use_tracer(new: Tracer) -> None:
    """Make this the process's tracer, and that of the processes it forks; `UNTRACED` for none."""
    global _current  # noqa: PLW0603 - there is one for each process
    _current = new


def traced(job: NewJob, span: Span) -> NewJob:
    """Return a job that belongs to the trace of the span that dispatches it."""
    context = kept(span.carrier)
    return job if context is None else replace(job, trace_context=context)
