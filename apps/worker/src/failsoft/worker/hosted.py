"""A worker process inside a process of another program, which delivers its messages itself.

For a job system whose own workers take the messages, in processes that it starts and ends: in each
of them there are the leases, the heartbeats and the maintenance of a worker process, and the job
system's code calls what the engine's part of it was built with.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from functools import partial

from failsoft.dispatcher.plugins.plugin import AnySite, EngineWorker, WorkerPost
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.worker.attempts.fork_server import ForkServer
from failsoft.worker.attempts.processor import Processor
from failsoft.worker.configuration.settings import adopt, load_settings
from failsoft.worker.configuration.slots import ALL
from failsoft.worker.engine_sites import site_of
from failsoft.worker.process import WorkerProcess, prepare_worker
from failsoft.worker.wiring import App

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: Builds the engine's part: what runs until the end, and says whether it serves.
BuildWorker = Callable[[AnySite, WorkerPost], EngineWorker]


class _HostedProcess(WorkerProcess):
    """A worker process whose engine's part is another than the plug-in's."""

    def __init__(
        self,
        app: App,
        catalogue: Catalogue,
        identity: tuple[str, QueueProfile],
        fork_server: ForkServer,
        *,
        build: BuildWorker,
    ) -> None:
        self._build = build
        boot_id = secrets.token_hex(8)
        super().__init__(app, catalogue, identity, boot_id, fork_server=fork_server)

    def _build_worker(self, processor: Processor) -> EngineWorker:
        _, site = site_of(self._settings, self._engine, self._app.offers)
        return self._build(site, self._post(processor))


class HostedWorker:
    """A worker process in threads of this one; the settings are those of the environment.

    Args:
        engine: The engine to serve, as `FAILSOFT_ENGINES` names it.
        queue: The queue to serve.
        slots: How many messages this process is given at a time.
        build: See `BuildWorker`.
    """

    def __init__(self, engine: str, queue: str, slots: int, build: BuildWorker) -> None:
        self._engine = engine
        self._queue = queue
        self._slots = slots
        self._build = build
        self._process: WorkerProcess | None = None
        self._stops = threading.Event()
        self._thread = threading.Thread(target=self._run, name="failsoft-hosted", daemon=True)

    def start(self) -> None:
        """Begin, and return at once; what goes wrong is logged."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more, let attempts give their job back at their next step, and wait for it.

        The process ends after the grace of the settings in any case.
        """
        self._stops.set()
        if self._process is not None:
            self._process.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            settings = load_settings()
            adopt(settings)
            make = partial(_HostedProcess, build=self._build)
            identity = self._engine, self._queue
            self._process = prepare_worker(settings, identity, {ALL: self._slots}, make)
            if not self._stops.is_set():
                self._process.run()
        except Exception:
            # Nothing above this thread would show it, and the host goes on with its own work.
            logger.exception("Failsoft takes no messages in this process")
