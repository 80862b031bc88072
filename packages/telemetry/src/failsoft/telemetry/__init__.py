"""What Failsoft measures, as Prometheus reads it (see `docs/how-to/metrics.md`).

It needs the extra `metrics`, and is imported when a name of it is used.
"""

from typing import TYPE_CHECKING

from failsoft.job_engine.lazy_names import lazily

if TYPE_CHECKING:
    from failsoft.telemetry.exporter import Exporter, Page
    from failsoft.telemetry.ways_out import metrics_asgi, metrics_wsgi
else:
    __getattr__ = lazily(
        __name__,
        {
            "failsoft.telemetry.exporter": ("Exporter", "Page"),
            "failsoft.telemetry.ways_out": ("metrics_asgi", "metrics_wsgi"),
        },
    )

__all__ = ["Exporter", "Page", "metrics_asgi", "metrics_wsgi"]
