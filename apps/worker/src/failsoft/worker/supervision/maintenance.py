"""Maintenance: probing, scheduling and rescuing, in every worker or in a process of its own.

A process of its own is for hosts without workers, so that jobs go on while every worker is down.
"""

import os
import threading
from collections.abc import Callable

from failsoft.job_engine.telemetry import Event
from failsoft.worker.processes.beats import Beats
from failsoft.worker.processes.deaths import NeighbourWatch
from failsoft.worker.processes.last_exit import HASTE_SECONDS, exit_within
from failsoft.worker.processes.loop_thread import LoopThread, at_intervals
from failsoft.worker.supervision.namespace_guard import NamespaceGuard
from failsoft.worker.supervision.posts import MAINTENANCE
from failsoft.worker.tracing import flush_traces
from failsoft.worker.wiring import App


def maintenance_thread(
    app: App, stopping: threading.Event, done: Callable[[], object] = lambda: None
) -> LoopThread:
    """Return the thread of a process that does the maintenance; it is not started yet.

    Args:
        app: Failsoft.
        stopping: Set when no further part of a round is to begin.
        done: Called after each round in which the ledger answered.
    """
    neighbours = NeighbourWatch(app.ledger)

    def tick() -> None:
        try:
            neighbours.tick()
        finally:
            # Also while the ledger is away: the engines are probed without it.
            app.maintenance.tick(stopping.is_set)
        done()

    return LoopThread(MAINTENANCE, at_intervals(app.settings.maintenance_every), tick)


class MaintenanceProcess:
    """Does the maintenance until it is stopped, and serves no queue."""

    def __init__(self, app: App, beats: Beats) -> None:
        self._listener = app.listener
        self._grace = app.settings.shutdown_grace.total_seconds()
        self._stopping = threading.Event()
        self._beats = beats
        self._thread = maintenance_thread(app, self._stopping, beats.serving)
        self._counts = LoopThread(
            "measures", at_intervals(app.settings.worker_beat), app.dispatcher.flush
        )
        self._guard = NamespaceGuard(app.engines, app.settings.engine_names, self._stopping.set)

    def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            NamespaceTakenError: A broker's namespace is another ledger's.
        """
        self._beats.up()
        self._guard.expect_ours()
        self._emit("worker.start")
        self._thread.start()
        self._counts.start()
        self._stopping.wait()
        self._thread.stop()
        self._counts.stop()
        flush_traces()
        self._emit("worker.stop")

    def stop(self) -> None:
        """Begin no further round."""
        exit_within(self._grace + HASTE_SECONDS)
        self._stopping.set()

    def abandon(self) -> None:
        """End now; what was begun is in the ledger, and the next round goes on from there."""
        os._exit(0)

    def _emit(self, kind: str) -> None:
        self._listener(Event(kind, detail={"role": MAINTENANCE, "pid": os.getpid()}))
