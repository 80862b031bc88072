"""The page that Prometheus reads: made of one look at the ledger, whatever the engines do."""

import logging
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from failsoft.job_engine.clock import Clock, SystemClock
from failsoft.telemetry.families import families, gauge
from failsoft.telemetry.job_names import JobNames
from failsoft.telemetry.reading import ExporterLedger, Probed, read

#: For how long a look at the ledger counts, and how long one may take, in seconds.
CACHED_SECONDS = 5.0
PATIENCE_SECONDS = 2.0
#: How old what probes found may be, in seconds.
PROBE_SECONDS = 15.0
#: How old the sizes of the tables may be, in seconds.
SIZES_SECONDS = 300.0

logger: logging.Logger = logging.getLogger("failsoft.telemetry")

T = TypeVar("T")

#: Probes every engine.
Probe = Callable[[], Sequence[Probed]]


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to one scrape."""

    content_type: str
    body: bytes


class Exporter:
    """Reads a ledger and shows its figures; any number of threads may ask for them.

    A look counts for five seconds. One that takes longer than two, or fails, is answered with the
    last figures, and `failsoft_scrape_ok` is 0 then. It goes on meanwhile, and no second one
    begins: however many scrapers there are, the ledger is read by one thread.
    """

    def __init__(
        self,
        ledger: ExporterLedger,
        *,
        database: str = "",
        probe: Probe | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Read a ledger.

        Args:
            ledger: Where every figure comes from.
            database: The kind of its database, as `sqlite`.
            probe: Probes the engines; without it nothing is said of them.
            clock: What the age of a look is measured by.
        """
        self._database = database
        self._clock = clock or SystemClock()
        self._names = JobNames()
        self._looks = _Looks(lambda: read(ledger), self._clock, CACHED_SECONDS)
        self._sizes = _Looks(ledger.sizes, self._clock, SIZES_SECONDS)
        self._probes = None if probe is None else _Looks(probe, self._clock, PROBE_SECONDS)
        self._making = threading.Lock()

    def page(self, accept: str = "") -> Page:
        """Return the figures, as OpenMetrics where the header `Accept` has that.

        Args:
            accept: The header of the request.
        """
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry()
        registry.register(_Collected(list(self._metrics())))
        return Page(content_type, encode(registry))

    def _metrics(self) -> Iterator[Metric]:
        reading = self._looks.result(PATIENCE_SECONDS)
        # What they found last: an engine that hangs delays no scrape.
        probed = None if self._probes is None else self._probes.result(0.0).found or ()
        sizes = self._sizes.result(0.0).found or ()
        if reading.found is not None:
            with self._making:
                yield from families(reading.found, self._names, probed=probed, sizes=sizes)
        yield gauge("scrape_seconds", {(): reading.took})
        yield gauge("scrape_ok", {(): float(reading.is_fresh)})
        labels = (version("failsoft-telemetry"), platform.python_version(), self._database)
        yield gauge("build_info", {labels: 1})


class _Collected(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


@dataclass(frozen=True, slots=True)
class _Result(Generic[T]):
    found: T | None
    took: float
    is_fresh: bool


class _Looks(Generic[T]):
    """Looks in a thread, one at a time; what was found counts for a while."""

    def __init__(self, look: Callable[[], T], clock: Clock, cached: float) -> None:
        self._look = look
        self._clock = clock
        self._cached = cached
        self._state = threading.Condition()
        self._found: T | None = None
        self._found_at = float("-inf")
        self._took = 0.0
        self._tried = 0
        self._looking = False

    def result(self, patience: float) -> _Result[T]:
        """Return what was found, looked for again if that is old; the last if it takes long."""
        with self._state:
            if not self._is_fresh():
                tried = self._tried
                self._begin()
                self._state.wait_for(lambda: self._tried != tried, patience)
            return _Result(self._found, self._took, self._is_fresh())

    def _is_fresh(self) -> bool:
        return self._clock.steady() - self._found_at <= self._cached

    def _begin(self) -> None:
        if not self._looking:
            self._looking = True
            threading.Thread(target=self._run, name="failsoft-figures", daemon=True).start()

    def _run(self) -> None:
        started, found = self._clock.steady(), None
        try:
            found = self._look()
        except Exception:
            logger.exception("the figures could not be read; the last ones are shown")
        with self._state:
            self._took = self._clock.steady() - started
            if found is not None:
                self._found, self._found_at = found, self._clock.steady()
            self._tried += 1
            self._looking = False
            self._state.notify_all()
