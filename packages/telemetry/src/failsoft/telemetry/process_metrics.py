"""The metrics of one process, in a registry of its program's: other names than the exporter's."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from failsoft.job_engine.measuring import BUCKETS
from failsoft.job_engine.telemetry import Event

#: The module of the traces' interface, which a program that has no traces does not import.
_TRACES = "opentelemetry.trace"


def current_trace() -> Mapping[str, str] | None:
    """Return what an exemplar names: the trace of the current span, if that is sampled."""
    module: Any = sys.modules.get(_TRACES)
    if module is None:
        return None
    span = module.get_current_span().get_span_context()
    return {"trace_id": f"{span.trace_id:032x}"} if span.trace_flags.sampled else None


class ProcessMetrics:
    """A listener that counts what happens in this process, in `failsoft_process_*`.

    For a program that has a registry: what it shows is of this process alone, and ends with it.
    The exporter's figures are those of all processes.

    A run that is traced is an exemplar, which OpenMetrics shows, with its `trace_id`.

    Args:
        registry: Where the metrics are registered.
        exemplar: Returns the labels of an exemplar; None for no exemplar.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        exemplar: Callable[[], Mapping[str, str] | None] = current_trace,
    ) -> None:
        self._exemplar = exemplar
        self._events = Counter(
            "failsoft_process_events",
            "What happened in this process, by the kind of the event.",
            ("kind", "queue", "engine"),
            registry=registry,
        )
        self._runs = Histogram(
            "failsoft_process_job_run_seconds",
            "How long attempts ran in this process.",
            ("job", "queue", "engine"),
            registry=registry,
            buckets=BUCKETS["run"],
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        queue, engine = event.queue or "", event.engine or ""
        self._events.labels(event.kind, queue, engine).inc()
        took = event.detail.get("duration_s")
        if took is not None:
            exemplar = self._exemplar()
            labelled = self._runs.labels(event.name or "", queue, engine)
            labelled.observe(took, None if exemplar is None else dict(exemplar))
