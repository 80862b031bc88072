"""Workers in this process that serve every queue on an engine in memory."""

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from types import ModuleType

from failsoft.engine_api import EngineWorker
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.errors import UnknownJobError
from failsoft.job_engine.policies.queue import QueueProfile, declared_queues
from failsoft.testing import MemoryEngine
from failsoft.worker.attempts.processor import Processor
from failsoft.worker.attempts.runners import Runner, ThreadRunner
from failsoft.worker.bundled_jobs import shipped_jobs
from failsoft.worker.process import WorkerProcess
from failsoft.worker.wiring import App

SLOTS = 4
LOOK_EVERY = 0.005


class PageCatalogue(Catalogue):
    """The jobs that ship, and those that a page has defined so far."""

    def __init__(self, page: ModuleType, shipped: Sequence[AnyDefinition]) -> None:
        super().__init__()
        self._page = page
        self._shipped = shipped

    def __iter__(self) -> Iterator[AnyDefinition]:
        return iter(Catalogue(self._definitions()))

    def __contains__(self, name: object) -> bool:
        return name in Catalogue(self._definitions())

    def get(self, name: str) -> AnyDefinition:
        # A worker of its own would have imported the whole module before it began.
        for _ in range(100):
            try:
                return Catalogue(self._definitions()).get(name)
            except UnknownJobError:
                time.sleep(LOOK_EVERY)
        return Catalogue(self._definitions()).get(name)

    def _definitions(self) -> list[AnyDefinition]:
        defined = [e for e in list(vars(self._page).values()) if isinstance(e, JobDefinition)]
        return [*self._shipped, *defined]


class MemoryWorker:
    """The worker side of an engine in memory."""

    def __init__(self, engine: MemoryEngine, queue: QueueProfile, processor: Processor) -> None:
        self._engine = engine
        self._queue = queue
        self._processor = processor

    def run(self, stopping: threading.Event) -> None:
        slots = [
            threading.Thread(target=self._serve, args=(stopping,), daemon=True)
            for _ in range(SLOTS)
        ]
        for slot in slots:
            slot.start()
        for slot in slots:
            slot.join()

    def is_serving(self) -> bool:
        return True

    def _serve(self, stopping: threading.Event) -> None:
        while not stopping.wait(LOOK_EVERY):
            message = self._engine.take(self._queue)
            if message is not None:
                self._processor(message.to_wire())


class PageWorker(WorkerProcess):
    """What a worker process does, in threads of this one."""

    def __init__(
        self, app: App, page: ModuleType, engine: MemoryEngine, queue: QueueProfile
    ) -> None:
        self._memory = engine
        catalogue: Catalogue
        shipped = shipped_jobs(app.settings, lambda: catalogue, app.listener)
        catalogue = PageCatalogue(page, shipped)
        super().__init__(app, catalogue, (engine.name, queue), secrets.token_hex(8))

    def _build_worker(self, processor: Processor) -> EngineWorker:
        return MemoryWorker(self._memory, self._queue, processor)

    def _build_runner(self) -> Runner:
        return ThreadRunner(self._executor, self._catalogue, self._keeper, self._queue)


def serve_every_queue(app: App, page: ModuleType, engine: MemoryEngine) -> None:
    """Serve the declared queues, and each that is declared later, until the process ends."""

    def serve() -> None:
        served: set[str] = set()
        while True:
            for name, queue in list(declared_queues().items()):
                if name not in served:
                    served.add(name)
                    worker = PageWorker(app, page, engine, queue)
                    threading.Thread(target=worker.run, daemon=True).start()
            time.sleep(LOOK_EVERY)

    threading.Thread(target=serve, daemon=True).start()
