"""The processes of a run, and who boots another one where one has died."""

from collections.abc import Callable
from dataclasses import dataclass

from failsoft.job_engine.records.job import WorkerRecord
from tests.simulation.jobs.definitions import QUEUE
from tests.simulation.processes.client import Client
from tests.simulation.processes.worker import MAINTAIN_EVERY, Worker
from tests.simulation.scheduler import Process
from tests.simulation.shared_state import FALLBACK, PRIMARY, Parts, SharedState

ORDERS_EACH = 4
#: The chance that a process is left that knows that a worker has died.
MARKED = 0.6


@dataclass
class ProcessSlot:
    """A place for one process at a time.

    Attributes:
        boot: Boots a process of that name.
        process: The one that has it now.
    """

    name: str
    boot: Callable[[str], Process]
    process: Process
    boots: int = 1


class RestartedProcesses:
    """Two workers of the fallback, one of the primary, two clients, and a rescuer on its own."""

    def __init__(self, shared: SharedState) -> None:
        self.workers: list[Worker] = []
        self.clients: dict[int, Client] = {}
        self._shared = shared
        self._slots: list[ProcessSlot] = []
        for engine in (PRIMARY, FALLBACK, FALLBACK):
            self._add(f"worker-{engine}", self._worker_of(engine))
        for number in range(2):
            self._add(f"client-{number}", self._client_of(number))
        self._add("rescuer", self._boot_rescuer)

    @property
    def all_dispatched(self) -> bool:
        """Return whether the clients have nothing left to dispatch."""
        return all(client.is_done for client in self.clients.values())

    def processes(self) -> list[Process]:
        """Return the processes that there are now."""
        return [slot.process for slot in self._slots]

    def look_after(self) -> None:
        """Boot another process, after a while, where one has died or gone."""
        while True:
            self._shared.scheduler.sleep(self._shared.faults.rng.uniform(0.5, 6))
            self._bury_the_stopped()
            for slot in self._slots:
                if slot.process.is_dead:
                    self._mark(slot)
                    slot.boots += 1
                    slot.process = slot.boot(f"{slot.name}-{slot.boots}")

    def _add(self, name: str, boot: Callable[[str], Process]) -> None:
        name = f"{len(self._slots)}-{name}"
        self._slots.append(ProcessSlot(name, boot, boot(f"{name}-1")))

    def _mark(self, slot: ProcessSlot) -> None:
        """Say that a worker has died, as a supervisor does that was not killed with it."""
        faults = self._shared.faults
        if "worker" in slot.name and faults.rng.random() < MARKED:
            _, engine = slot.name.rsplit("-", 1)
            dead = WorkerRecord(slot.process.name, engine, QUEUE.name, "host", 1, 0)
            self._shared.kept.mark_dead(dead)
            faults.notice("a dead worker was marked")

    def _bury_the_stopped(self) -> None:
        for worker in self.workers:
            if worker.is_stopping and worker.is_idle():
                worker.process.is_dead = True
        self.workers = [worker for worker in self.workers if not worker.process.is_dead]

    def _worker_of(self, engine: str) -> Callable[[str], Process]:
        def boot(name: str) -> Process:
            worker = Worker(self._shared, Process(name), engine)
            self.workers.append(worker)
            worker.start()
            return worker.process

        return boot

    def _client_of(self, number: int) -> Callable[[str], Process]:
        # The next one goes on with the orders that are left.
        orders = iter(range(number * ORDERS_EACH, (number + 1) * ORDERS_EACH))

        def boot(name: str) -> Process:
            client = Client(self._shared, Process(name), orders)
            self.clients[number] = client
            client.start()
            return client.process

        return boot

    def _boot_rescuer(self, name: str) -> Process:
        process = Process(name)
        parts = Parts(self._shared)
        self._shared.repeat(process, "maintain", MAINTAIN_EVERY, parts.maintenance.tick)
        return process
