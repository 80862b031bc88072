"""`Tracer` on OpenTelemetry: which spans there are, what they are called, what they say."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)

from failsoft.job_engine.records.job import Claim, JobRecord
from failsoft.job_engine.tracing import AttemptSpan, Span
from failsoft.telemetry.tracing.contexts import kept_context, link_to, with_baggage
from failsoft.telemetry.tracing.guard import guarded
from failsoft.telemetry.tracing.logs import current_ids
from failsoft.telemetry.tracing.options import TraceOptions
from failsoft.telemetry.tracing.spans import OtelAttempt, OtelSpan, Value
from failsoft.telemetry.tracing.within import Within

#: Of a second: the times of spans are counted in them.
NANOSECONDS = 1_000_000_000


class OtelTracer:
    """`Tracer` on OpenTelemetry's API.

    What a tracer provider, a sampler or a processor of the program's raises is logged, and is no
    error of a dispatch or of a job.
    """

    def __init__(
        self, tracer: trace.Tracer, options: TraceOptions, provider: TracerProvider | None
    ) -> None:
        """Begin spans.

        Args:
            tracer: Where they come from.
            options: What the program chose.
            provider: What is flushed; the global one where None.
        """
        self._tracer = tracer
        self._options = options
        self._provider = provider

    def dispatch(self, queue: str, job: str) -> AbstractContextManager[Span]:
        """Begin a dispatch, within the caller's span."""
        facts = _operation("dispatch", "create", queue) | {"failsoft.job": job}
        return Within(lambda: self._start(f"dispatch {queue}", SpanKind.PRODUCER, facts))

    def record(self, system: str) -> AbstractContextManager[Span]:
        """Begin the commit of a dispatch."""
        facts: dict[str, Value] = {"db.system.name": system}
        return Within(lambda: self._start("record ledger", SpanKind.CLIENT, facts))

    def send(self, job: JobRecord, count: int = 1) -> AbstractContextManager[Span]:
        """Begin an offer: within its dispatch, or in a trace that links to that."""
        return Within(lambda: self._start_send(job, count))

    def maintain(self, kind: Literal["rescue", "schedule"]) -> AbstractContextManager[Span]:
        """Begin a rescue or a tick, as a trace of its own."""
        return Within(lambda: self._start(kind, SpanKind.INTERNAL, {}, Context()))

    def attempt(self, claim: Claim) -> AbstractContextManager[AttemptSpan]:
        """Begin an attempt: a trace of its own, or a part of its dispatch's."""
        base = with_baggage(claim.trace_context, Context()) if self._options.baggage else Context()
        return Within(lambda: self._start_attempt(claim, base), base)

    def died(
        self, claim: Claim, started: datetime, left: str | None
    ) -> AbstractContextManager[AttemptSpan]:
        """Begin the span of an attempt whose process died: in the trace that it left, if it has.

        The id that its own span had is lost, since none can be chosen.
        """
        base = Context()
        found, _ = kept_context(left)
        if found is not None:
            base = set_span_in_context(NonRecordingSpan(found), base)
        return Within(lambda: self._start_attempt(claim, base, died=started), base)

    def failed_over(self, job: JobRecord, engine: str | None, reason: str) -> None:
        """Add the event to the span that is current: a dispatch, or a rescue."""
        facts: dict[str, Value] = {"from": engine or "", "to": job.engine or "", "reason": reason}
        get_current_span().add_event("failsoft.failover", facts)

    def lost(self, job: JobRecord, outcome: str) -> None:
        """Add the event to the span that is current: a rescue."""
        facts: dict[str, Value] = {
            "messaging.message.id": job.id,
            "failsoft.job": job.name,
            "failsoft.engine": job.engine or "",
            "failsoft.epoch": job.epoch,
            "failsoft.outcome": outcome,
        }
        get_current_span().add_event("failsoft.attempt.lost", facts)

    def ids(self) -> Mapping[str, str]:
        """Return the ids of the current span, as log lines have them."""
        return current_ids()

    def flush(self, seconds: float) -> None:
        """Let the provider send what it has, if it can, for so long at most."""
        provider: Any = self._provider or trace.get_tracer_provider()
        send = getattr(provider, "force_flush", None)
        if send is None:
            return
        # In a thread: some exporters go on until their own timeout, whatever the limit is.
        limit = int(seconds * 1000)
        flushing = threading.Thread(target=guarded, args=(lambda: send(limit),), daemon=True)
        flushing.start()
        flushing.join(seconds)

    def _start_send(self, job: JobRecord, count: int) -> OtelSpan:
        facts = _operation("send", "send", job.queue) | {
            "messaging.system": job.engine or "",
            "failsoft.epoch": job.epoch,
            "failsoft.job": job.name,
        }
        facts |= {"messaging.message.id": job.id} if count == 1 else {}
        facts |= {"messaging.batch.message_count": count} if count > 1 else {}
        dispatch, _ = kept_context(job.trace_context)
        elsewhere = dispatch is not None and not _is_current(dispatch)
        links = [link_to(dispatch, "dispatch")] if dispatch is not None and elsewhere else []
        return self._start(f"send {job.queue}", SpanKind.CLIENT, facts, links=links)

    def _start_attempt(
        self, claim: Claim, base: Context, *, died: datetime | None = None
    ) -> OtelAttempt:
        """Begin the span of an attempt; `died` is when its process was started that died."""
        facts = _operation("process", "process", claim.queue) | {
            "messaging.system": claim.engine,
            "messaging.message.id": claim.job_id,
            "failsoft.job": claim.name,
            "failsoft.engine": claim.engine,
            "failsoft.worker": claim.worker,
            "failsoft.attempt": claim.attempt,
            "failsoft.epoch": claim.epoch,
        }
        dispatch, is_back = kept_context(claim.trace_context)
        links = list[Link]()
        if dispatch is not None and (self._options.links or is_back):
            links.append(link_to(dispatch, "retried" if is_back else "dispatch"))
        elif dispatch is not None and not get_current_span(base).get_span_context().is_valid:
            base = set_span_in_context(NonRecordingSpan(dispatch), base)
        name, kind = f"process {claim.queue}", SpanKind.CONSUMER
        if died is not None:
            facts["failsoft.process.died"] = True
        begun = None if died is None else int(died.timestamp() * NANOSECONDS)
        span = self._tracer.start_span(name, base, kind, facts, links, begun)
        return OtelAttempt(self._tracer, span, self._options, is_whole=died is None)

    def _start(
        self,
        name: str,
        kind: SpanKind,
        facts: dict[str, Value],
        context: Context | None = None,
        *,
        links: Sequence[Link] = (),
    ) -> OtelSpan:
        span = self._tracer.start_span(name, context, kind, facts, links)
        return OtelSpan(span, self._options)


def _operation(name: str, kind: str, queue: str) -> dict[str, Value]:
    return {
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": queue,
    }


def _is_current(context: SpanContext) -> bool:
    current = get_current_span().get_span_context()
    return (current.trace_id, current.span_id) == (context.trace_id, context.span_id)
