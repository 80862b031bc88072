"""Putting an exporter together: its ledger, and the engines that it probes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import process_settings
from failsoft.worker.probes import probed
from failsoft.worker.wiring import App, build

if TYPE_CHECKING:
    from failsoft.telemetry import Exporter
    from failsoft.telemetry.reading import Probed


def exporter_from_environment() -> "Exporter":
    """Build the exporter of `metrics_asgi` and `metrics_wsgi`; found as an entry point."""
    return exporter_of(build(process_settings()), probe=False)


def exporter_of(app: App, *, probe: bool) -> "Exporter":
    """Build an exporter of an app's ledger.

    Args:
        app: Failsoft.
        probe: Whether the engines are probed.

    Raises:
        ConfigurationError: If prometheus-client is not installed.
    """
    try:
        from failsoft.telemetry import Exporter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"expected prometheus-client, got none ({error}); install failsoft[metrics]"
        ) from error
    database = app.ledger.database.engine.dialect.name
    probes = (lambda: list(_probed(app.engines))) if probe else None
    return Exporter(app.ledger, database=database, probe=probes, clock=app.clock)


def _probed(engines: EngineSet) -> "Iterator[Probed]":
    from failsoft.telemetry.reading import Probed  # noqa: PLC0415 - an extra

    for engine, queue, health in probed(engines):
        yield Probed(engine, queue, health.healthy, health.backlog)
