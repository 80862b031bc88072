"""What every worker process does beside its jobs: probe, schedule, rescue."""

from collections.abc import Callable

from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.stager import BATCH, Stager
from failsoft.dispatcher.offering.engines import EngineSet


class Maintenance:
    """One look at the engines, the jobs and the schedules; without `cron` no schedule is fired."""

    def __init__(
        self,
        engines: EngineSet,
        stager: Stager,
        rescuer: Rescuer,
        cron: CronScheduler | None = None,
    ) -> None:
        self._engines = engines
        self._stager = stager
        self._rescuer = rescuer
        self._cron = cron

    def tick(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Look once, and go on while a full batch was due.

        Raises:
            LedgerError: The ledger could not be read; look again later.
        """
        self._engines.check()
        self._rescuer.tick()
        if self._cron is not None:
            self._cron.tick()
        while self._stager.tick() >= BATCH and not stopping():
            pass
