"""What every worker process does besides: probe, schedule, rescue."""

from collections.abc import Callable

from understudy.dispatcher.maintenance.cron import Ticker
from understudy.dispatcher.maintenance.rescuer import Rescuer
from understudy.dispatcher.maintenance.stager import BATCH, Scheduler
from understudy.dispatcher.offering.engines import EngineSet


class Maintenance:
    """One look at everything that needs looking after."""

    def __init__(
        self,
        engines: EngineSet,
        scheduler: Scheduler,
        rescuer: Rescuer,
        ticker: Ticker | None = None,
    ) -> None:
        """Put the parts together; without a ticker no schedule is fired."""
        self._engines = engines
        self._scheduler = scheduler
        self._rescuer = rescuer
        self._ticker = ticker

    def tick(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Look once, and go on while a full batch was due.

        Raises:
            LedgerError: The ledger could not be read; look again later.
        """
        self._engines.check()
        self._rescuer.tick()
        if self._ticker is not None:
            self._ticker.tick()
        while self._scheduler.tick() >= BATCH and not stopping():
            pass
