"""The traces of this process, if the settings want them."""

import logging

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.tracing import UNTRACED, tracer
from failsoft.worker.configuration.settings import Settings

#: How long the end of a process waits for spans that are not sent yet.
FLUSH_SECONDS = 2.0


def trace_if_wanted(settings: Settings) -> None:
    """Instrument this process where `FAILSOFT_OTEL` says so; what its jobs chose stays.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.
    """
    if not settings.otel or tracer() is not UNTRACED:
        return
    try:
        from failsoft.telemetry import instrument  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"expected opentelemetry-api for FAILSOFT_OTEL, got none ({error}); install "
            "failsoft[otel], or unset FAILSOFT_OTEL"
        ) from error
    instrument()


def flush_traces() -> None:
    """Send the spans that are not sent yet; to be called when a process is about to end."""
    tracer().flush(FLUSH_SECONDS)


class TraceIds(logging.Filter):
    """Gives a record the ids of the current span, where there is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add them; let every record pass."""
        vars(record).update(tracer().ids())
        return True
