"""What Failsoft measures, as Prometheus reads it (see `docs/how-to/metrics.md`)."""

from failsoft.telemetry.exporter import Exporter, Page
from failsoft.telemetry.ways_out import metrics_asgi, metrics_wsgi

__all__ = ["Exporter", "Page", "metrics_asgi", "metrics_wsgi"]
