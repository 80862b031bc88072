"""The figures for Prometheus on the port of the probes."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failsoft.telemetry import Exporter, Page


#: The entry points that make an exporter from the environment (`failsoft.telemetry.ways_out`).
GROUP = "failsoft.exporter"


def _from_environment() -> "Exporter":
    # Only now: a supervisor is started without what these import.
    from importlib.metadata import entry_points  # noqa: PLC0415 - see above

    (found,) = entry_points(group=GROUP, name="default")
    exporter: Exporter = found.load()()
    return exporter


class MetricsPage:
    """The page of an exporter that is made at the first request.

    A supervisor that nobody scrapes imports none of it and stays small. The probes beside it use
    no server: the ledger is read by the exporter's own thread.

    Args:
        make: Makes the exporter; from the environment where absent.
    """

    def __init__(self, make: "Callable[[], Exporter]" = _from_environment) -> None:
        self._make = make
        self._exporter: Exporter | None = None
        self._making = threading.Lock()

    def __call__(self, accept: str) -> "Page":
        """Return the figures, as the header `Accept` has them.

        Raises:
            FailsoftError: The exporter could not be made; the next request tries again.
        """
        with self._making:
            if self._exporter is None:
                self._exporter = self._make()
        return self._exporter.page(accept)
