"""An application: it dispatches jobs, asks again if the ledger does not answer, and cancels."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from tests.simulation.baton import Process
from tests.simulation.jobs import Order
from tests.simulation.scene import BUDGET, Parts, Scene
from understudy.dispatcher import Dispatcher
from understudy.dispatcher.options import DispatchOptions
from understudy.job_engine.errors import JobNotFoundError, LedgerUnavailableError

CANCELS, REPEATS, DELAYS = 0.15, 0.2, 0.2
PATIENCE = 5


class Client:
    """Dispatches some jobs.

    Attributes:
        accepted: The ids of the jobs that were accepted.
    """

    def __init__(
        self, scene: Scene, process: Process, orders: Iterator[int], accepted: set[str]
    ) -> None:
        self.process = process
        self.accepted = accepted
        self.is_done = False
        self._scene = scene
        self._orders = orders
        self._parts = Parts(scene)
        self._dispatcher = Dispatcher(
            self._parts.ledger,
            self._parts.router,
            self._parts.offerer,
            self._parts.engines,
            clock=self._parts.clock,
            listener=scene.hear,
            budget=BUDGET,
        )

    def start(self) -> None:
        """Begin to dispatch, and to probe what is broken."""
        self._scene.conductor.spawn(self.process, "dispatch", self._dispatch_all)
        self._scene.repeat(self.process, "probe", 1.0, self._parts.engines.check)

    def _dispatch_all(self) -> None:
        rng = self._scene.weather.rng
        for number in self._orders:
            self._scene.conductor.sleep(rng.uniform(0, 6))
            job_id = self._dispatch(number)
            if job_id is not None and rng.random() < CANCELS:
                self._scene.conductor.sleep(rng.uniform(0, 8))
                with suppress(LedgerUnavailableError, JobNotFoundError):
                    self._parts.ledger.cancel(job_id, "a client")
        self.is_done = True

    def _dispatch(self, number: int) -> str | None:
        rng = self._scene.weather.rng
        definition = self._scene.jobs.any()
        options = DispatchOptions(idempotency_key=f"order-{number}")
        if rng.random() < DELAYS:
            options["delay"] = timedelta(seconds=rng.uniform(0, 5))
        job_id = None
        for _ in range(PATIENCE):
            try:
                handle = self._dispatcher.dispatch(definition, Order(number=number), **options)
            except LedgerUnavailableError:
                self._scene.conductor.sleep(1.0)
                continue
            job_id = handle.id
            self.accepted.add(job_id)
            if rng.random() >= REPEATS:
                break
            self._scene.weather.notice("a job was dispatched again with its key")
        return job_id
