"""The metrics of one process, in a registry of its program's: other names than the exporter's."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from failsoft.job_engine.measuring import BUCKETS
from failsoft.job_engine.telemetry import Event


class ProcessMetrics:
    """A listener that counts what happens in this process, in `failsoft_process_*`.

    For a program that has a registry: what it shows is of this process alone, and ends with it.
    The exporter's figures are those of all processes.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
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
            self._runs.labels(event.name or "", queue, engine).observe(took)
