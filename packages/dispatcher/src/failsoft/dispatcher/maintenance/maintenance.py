"""What every worker process does beside its jobs: probe, rescue, schedule, guard, notify."""

from collections.abc import Callable

from failsoft.dispatcher.maintenance.activity import ActivityNotes
from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.dispatcher.maintenance.notifier import Notifier
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.route_guards import RouteGuards
from failsoft.dispatcher.maintenance.stager import BATCH, Stager
from failsoft.dispatcher.offering.engines import EngineSet


class Maintenance:
    """One look at the engines, the jobs, the schedules, the routes and the notices.

    Without `cron` no schedule is fired, without `guards` no share of a route is judged, without
    `notes` neither breakers nor figures are noted, without `notifier` nobody is told of a notice.
    """

    def __init__(
        self,
        engines: EngineSet,
        stager: Stager,
        rescuer: Rescuer,
        cron: CronScheduler | None = None,
        *,
        guards: RouteGuards | None = None,
        notes: ActivityNotes | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._engines = engines
        self._stager = stager
        self._rescuer = rescuer
        self._cron = cron
        self._guards = guards
        self._notes = notes
        self._notifier = notifier

    def tick(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Look once, and go on while a full batch was due.

        Raises:
            LedgerError: The ledger could not be read; look again later.
        """
        self._engines.check()
        if self._notes is not None:
            self._notes.tick()
        self._rescuer.tick()
        if self._cron is not None:
            self._cron.tick()
        if self._guards is not None:
            self._guards.tick()
        if self._notifier is not None:
            # Before the stager, which offers what it has made due.
            self._notifier.tick()
        while self._stager.tick() >= BATCH and not stopping():
            pass
