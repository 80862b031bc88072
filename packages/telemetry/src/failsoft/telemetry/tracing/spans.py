"""The spans of OpenTelemetry behind the port of the core."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer, set_span_in_context

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.ports.traces import AttemptTrace
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import StepKind, StepRecord
from failsoft.job_engine.records.states import EXHAUST, RECOVER
from failsoft.telemetry.tracing.contexts import carrier_from, kept_context
from failsoft.telemetry.tracing.guard import guarded
from failsoft.telemetry.tracing.options import TraceOptions

Value: TypeAlias = str | bool | int | float | list[str]

#: The most links of one span.
MOST_LINKS = 32
#: The attributes that have names of OpenTelemetry's conventions; the others begin with ours.
NAMES: Mapping[str, str] = {
    "batch_count": "messaging.batch.message_count",
    "conversation_id": "messaging.message.conversation_id",
    "error_type": "error.type",
    "job_id": "messaging.message.id",
}
#: Outcomes of an attempt that its span shows as errors.
_ERRORS = frozenset({"retry", "fail", "crash", "crash_out", "hold", "fenced", "unrecorded"})
_LOST = frozenset({RECOVER.name, EXHAUST.name})


def named(facts: Mapping[str, object]) -> dict[str, Value]:
    """Return facts as attributes of a span; what is None is left out."""
    return {
        NAMES.get(name) or f"failsoft.{name.replace('_', '.')}": _value(value)
        for name, value in facts.items()
        if value is not None
    }


def _value(value: object) -> Value:
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return value if isinstance(value, str | bool | int | float) else str(value)


class OtelSpan:
    """`Span` on OpenTelemetry.

    Attributes:
        otel: The span of OpenTelemetry.
    """

    def __init__(self, span: Span, options: TraceOptions) -> None:
        self.otel: Span = span
        self._options = options
        self._links = 0

    @property
    def carrier(self) -> Mapping[str, str]:
        """Its trace as HTTP headers have it; the caller's where there is no SDK."""
        return carrier_from(self.otel, baggage=self._options.baggage)

    def note(self, **facts: object) -> None:
        """Add attributes."""
        self.otel.set_attributes(named(facts))

    def link(self, context: str | None) -> None:
        """Link to the trace of a job, up to `MOST_LINKS` times."""
        found, _ = kept_context(context)
        if found is not None and self._links < MOST_LINKS:
            self._links += 1
            self.otel.add_link(found, {"failsoft.link": "job"})

    def end(self, error: BaseException | None = None) -> None:
        """End it, with what was raised within it."""
        if error is not None:
            self.failed(type(error).__name__, str(error), None)
        guarded(self.otel.end)

    def failed(self, kind: str, message: str, traceback: str | None) -> None:
        """Note an error; its text only where the program wants to see it."""
        self.otel.set_attribute("error.type", kind)
        if not self._options.record_errors:
            self.otel.set_status(Status(StatusCode.ERROR))
            return
        shown = {"exception.type": kind, "exception.message": message}
        if traceback is not None:
            shown["exception.stacktrace"] = traceback
        self.otel.add_event("exception", shown)
        self.otel.set_status(Status(StatusCode.ERROR, message))


class OtelAttempt(OtelSpan):
    """`AttemptSpan` on OpenTelemetry: an attempt and its steps."""

    def __init__(
        self, tracer: Tracer, span: Span, options: TraceOptions, *, is_whole: bool = True
    ) -> None:
        """Show an attempt; of one that is not whole nobody has seen the steps."""
        super().__init__(span, options)
        self._tracer = tracer
        self._is_whole = is_whole
        self._open: dict[str, OtelSpan] = {}
        self._tries = Counter[str]()
        self._reused = 0
        self._outcome: str | None = None

    @property
    def carrier(self) -> Mapping[str, str]:
        """Its trace as HTTP headers have it; empty where nobody records it."""
        return carrier_from(self.otel, baggage=False) if self.otel.is_recording() else {}

    def after(self, before: AttemptTrace) -> None:
        """Link to the attempt before it: `previous`, or `lost` if a rescuer took it away."""
        found: SpanContext | None = kept_context(before.context)[0]
        if found is not None:
            to = "lost" if before.outcome in _LOST else "previous"
            self.otel.add_link(found, {"failsoft.link": to})

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Let code of a step run within a span of its own, which `recorded` ends."""
        earlier = self._open.pop(name, None)
        if earlier is not None:
            # Its result was not kept: the step is tried again.
            earlier.end()
        span = guarded(lambda: self._begin(name))
        if span is None:
            yield
            return
        self._open[name] = span
        token = otel_context.attach(set_span_in_context(span.otel))
        try:
            yield
        except Interrupt:
            # The end of the attempt, which says how it ends.
            raise
        except BaseException as error:
            self._open.pop(name, None)
            span.end(error)
            raise
        finally:
            otel_context.detach(token)

    def _begin(self, name: str) -> OtelSpan:
        self._tries[name] += 1
        facts: dict[str, Value] = {"failsoft.step.name": name}
        facts["failsoft.step.try"] = self._tries[name]
        return OtelSpan(self._tracer.start_span(f"step {name}", attributes=facts), self._options)

    def recorded(self, step: StepRecord) -> None:
        """End a step that the ledger has recorded."""
        span = self._open.pop(step.name, None)
        if span is not None:
            span.note(step_kind=str(step.kind))
            span.end()

    def reused(self, step: StepRecord) -> None:
        """Note a step that did not run, as an event."""
        if step.kind in (StepKind.SLEEP, StepKind.ANSWERED):
            return
        self._reused += 1
        facts: dict[str, Value] = {"failsoft.step.name": step.name}
        facts["failsoft.step.kind"] = str(step.kind)
        self.otel.add_event("failsoft.step.reused", facts)

    def concluded(self, outcome: str, error: ErrorRecord | None = None) -> None:
        """Note how the attempt ended."""
        self._outcome = outcome
        if error is not None:
            self.failed(error.type, error.message, error.traceback)

    def end(self, error: BaseException | None = None) -> None:
        """End the attempt, and with it the steps that were not recorded."""
        outcome = self._outcome or "unrecorded"
        for span in [self._open.pop(name) for name in list(self._open)]:
            span.note(outcome=outcome)
            span.end()
        self.note(outcome=outcome, resumed_steps=self._reused if self._is_whole else None)
        if outcome in _ERRORS:
            self.otel.set_status(Status(StatusCode.ERROR))
        super().end(error)
