"""The process of an engine's bridge: it serves no queue, and does no maintenance."""

import os
import threading

from failsoft.dispatcher.default import default_dispatcher
from failsoft.dispatcher.plugins.bridge import BridgePost, EngineBridge
from failsoft.job_engine.telemetry import Event
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.engine_sites import site_of
from failsoft.worker.exit_codes import OK
from failsoft.worker.processes.beats import Beats
from failsoft.worker.processes.last_exit import HASTE_SECONDS, exit_within
from failsoft.worker.processes.loop_thread import LoopThread, at_intervals
from failsoft.worker.tracing import flush_traces
from failsoft.worker.wiring import App


def has_bridge(settings: Settings, engine: str) -> bool:
    """Return whether an engine has a bridge."""
    found, _ = site_of(settings, engine)
    return found.has_bridge


class BridgeProcess:
    """Runs the bridge of one engine until it is stopped.

    It counts as serving while it runs and the ledger answers.

    Raises:
        DefinitionError: What the program declares does not fit together.
    """

    def __init__(self, app: App, engine: str, boot_id: str, beats: Beats) -> None:
        self._app = app
        self._engine = engine
        self._boot_id = boot_id
        self._grace = app.settings.shutdown_grace.total_seconds()
        self._stopping = threading.Event()
        self._bridge = self._build()
        self._beats = beats
        self._beat_thread = LoopThread("beat", at_intervals(app.settings.worker_beat), self._beat)

    def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            FailsoftError: The bridge cannot go on.
        """
        self._beats.up()
        self._emit("bridge.start")
        self._beat_thread.start()
        try:
            self._bridge.run(self._stopping)
        finally:
            self._beat_thread.stop()
            flush_traces()
            self._emit("bridge.stop")

    def stop(self) -> None:
        """Take no further record."""
        exit_within(self._grace + HASTE_SECONDS, OK)
        self._stopping.set()

    def abandon(self) -> None:
        """End now: what was begun is done again, by keys that the ledger knows."""
        os._exit(OK)

    def _beat(self) -> None:
        self._app.ledger.live_workers()
        self._beats.serving()

    def _build(self) -> EngineBridge:
        found, site = site_of(self._app.settings, self._engine, self._app.offers)
        is_sharded = bool(self._app.settings.ledgers)
        dispatcher = default_dispatcher() if is_sharded else self._app.dispatcher
        post = BridgePost(
            self._engine,
            self._boot_id,
            dispatcher.dispatch_many,
            is_sharded,
            self._app.ledger,
            self._app.clock,
            self._app.listener,
        )
        return found.build_bridge(site, post)

    def _emit(self, kind: str) -> None:
        detail = {"worker": self._boot_id, "pid": os.getpid()}
        self._app.listener(Event(kind, engine=self._engine, detail=detail))
