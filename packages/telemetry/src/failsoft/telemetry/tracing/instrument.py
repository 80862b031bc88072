"""Switching the traces of a process on and off."""

from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from failsoft.job_engine.tracing import UNTRACED, use_tracer
from failsoft.telemetry.tracing.options import TraceOptions
from failsoft.telemetry.tracing.tracer import OtelTracer

#: What OpenTelemetry calls the source of the spans.
SCOPE = "failsoft"


def instrument(
    *,
    links: bool = True,
    baggage: bool = False,
    record_errors: bool = False,
    tracer_provider: TracerProvider | None = None,
) -> None:
    """Trace what this process dispatches and runs; calling it again replaces the options.

    It may be called before or after the dispatcher is made, in a program as in a module of jobs.
    Spans go to OpenTelemetry's SDK, if the program has set that up; without it they go nowhere.

    Args:
        links: Whether each attempt is a trace of its own that links to its dispatch; otherwise it
            is a part of the dispatch's trace, however long that lasts.
        baggage: Whether the caller's baggage goes with the job, as far as there is room.
        record_errors: Whether spans have the text and the traceback of errors, which may hold
            what is in a payload.
        tracer_provider: Where spans come from; OpenTelemetry's global one where None.
    """
    source = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
    options = TraceOptions(links=links, baggage=baggage, record_errors=record_errors)
    use_tracer(OtelTracer(source, options, tracer_provider))


def uninstrument() -> None:
    """Trace nothing any more in this process; what is open is not ended."""
    use_tracer(UNTRACED)
