"""What people see of Failsoft from outside: metrics for Prometheus, traces for OpenTelemetry.

Each needs an extra of its own (see `docs/how-to/metrics.md`, `docs/how-to/traces.md`), and is
imported when a name of it is used.
"""

from typing import TYPE_CHECKING

from failsoft.job_engine.lazy_names import lazily

if TYPE_CHECKING:
    from failsoft.telemetry.exporter import Exporter, Page
    from failsoft.telemetry.tracing.instrument import instrument, uninstrument
    from failsoft.telemetry.tracing.logs import TraceFilter, add_trace_ids, patch_trace_ids
    from failsoft.telemetry.ways_out import metrics_asgi, metrics_wsgi
else:
    __getattr__ = lazily(
        __name__,
        {
            "failsoft.telemetry.exporter": ("Exporter", "Page"),
            "failsoft.telemetry.tracing.instrument": ("instrument", "uninstrument"),
            "failsoft.telemetry.tracing.logs": (
                "TraceFilter",
                "add_trace_ids",
                "patch_trace_ids",
            ),
            "failsoft.telemetry.ways_out": ("metrics_asgi", "metrics_wsgi"),
        },
    )

__all__ = [
    "Exporter",
    "Page",
    "TraceFilter",
    "add_trace_ids",
    "instrument",
    "metrics_asgi",
    "metrics_wsgi",
    "patch_trace_ids",
    "uninstrument",
]
