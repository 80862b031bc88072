"""From spans to what the ledger keeps of a trace, and back."""

from collections.abc import Mapping

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from failsoft.job_engine.records.trace_context import BACK, PARENT, STATE, carrier_of

# Whatever the program propagates over HTTP: the ledger keeps one format.
_TRACE = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()


def carrier_from(span: Span, *, baggage: bool) -> Mapping[str, str]:
    """Return a span's trace as HTTP headers have it, with the baggage that is current."""
    carrier: dict[str, str] = {}
    _TRACE.inject(carrier, set_span_in_context(span))
    if baggage:
        _BAGGAGE.inject(carrier)
    return carrier


def kept_context(text: str | None) -> tuple[SpanContext | None, bool]:
    """Read the trace that a ledger keeps of a job, or of an attempt.

    Returns:
        The trace, None where it is not as it should be; and whether it is that of a job whose work
        is done again, which this one is no part of.
    """
    carrier = carrier_of(text)
    back = carrier.get(BACK)
    headers = {PARENT: back or carrier.get(PARENT, ""), STATE: carrier.get(STATE, "")}
    found = get_current_span(_TRACE.extract(headers, Context())).get_span_context()
    return (found if found.is_valid else None), back is not None


def with_baggage(text: str | None, context: Context) -> Context:
    """Return a context with the baggage that a ledger keeps of a job."""
    return _BAGGAGE.extract(carrier_of(text), context)


def link_to(context: SpanContext, to: str) -> Link:
    """Return a link that says what it leads to."""
    return Link(context, {"failsoft.link": to})
