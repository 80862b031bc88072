"""What OpenTelemetry's automatic instrumentation finds, by the entry point that it looks for."""

from collections.abc import Collection
from typing import Any

from failsoft.telemetry.tracing.instrument import instrument, uninstrument


class FailsoftInstrumentor:
    """Has the methods that an instrumentor has; its base class is in a package that is not needed.

    `opentelemetry-instrument` makes one and calls `instrument`.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: what it instruments comes with it."""
        return ()

    def instrument(self, **given: Any) -> None:
        """Trace this process; `instrument` says which arguments there are.

        Others that OpenTelemetry has for every instrumentor are passed over.
        """
        known = {"links", "baggage", "record_errors", "tracer_provider"}
        instrument(**{name: given[name] for name in given if name in known})

    def uninstrument(self, **given: Any) -> None:
        """Trace nothing any more."""
        uninstrument()
