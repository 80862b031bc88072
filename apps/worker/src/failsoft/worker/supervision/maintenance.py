"""A process that serves no queue: it probes, schedules and rescues, as every worker does besides.

For hosts without workers, so that jobs move on while every worker is gone.
"""

import os
import threading

from failsoft.job_engine.telemetry import Event
from failsoft.worker.processes.deaths import NeighbourWatch
from failsoft.worker.processes.last_exit import HASTE_SECONDS, exit_within
from failsoft.worker.processes.loop_thread import LoopThread
from failsoft.worker.supervision.namespace_guard import NamespaceGuard
from failsoft.worker.wiring import App

#: What stands in the place of an engine where a process serves none.
MAINTENANCE = "maintenance"


class MaintenanceProcess:
    """Look after what needs looking after, until told to stop."""

    def __init__(self, app: App) -> None:
        """Put the parts together; nothing runs yet."""
        self._listener = app.listener
        self._grace = app.settings.shutdown_grace.total_seconds()
        self._stopping = threading.Event()
        self._periodic = LoopThread(
            MAINTENANCE,
            app.settings.maintenance_every,
            self._look_after,
        )
        self._app = app
        self._neighbours = NeighbourWatch(app.ledger)

        self._guard = NamespaceGuard(app.engines, app.settings.engine_names, self._stopping.set)

    def run(self) -> None:
        """Look again and again until asked to stop.

        Raises:
            NamespaceTakenError: A broker's namespace is another ledger's.
        """
        self._guard.expect_ours()
        self._emit("worker.start")
        self._periodic.start()
        self._stopping.wait()
        self._periodic.stop()
        self._emit("worker.stop")

    def stop(self) -> None:
        """Begin no further look."""
        exit_within(self._grace + HASTE_SECONDS)
        self._stopping.set()

    def abandon(self) -> None:
        """End now; whatever was begun, the ledger has it, and the next look goes on from there."""
        os._exit(0)

    def _look_after(self) -> None:
        try:
            self._neighbours.tick()
        finally:
            # Also while the ledger is away: the engines are probed all the same.
            self._app.maintenance.tick(self._stopping.is_set)

    def _emit(self, kind: str) -> None:
        self._listener(Event(kind, detail={"role": MAINTENANCE, "pid": os.getpid()}))
