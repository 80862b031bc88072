"""An application: it requests jobs, again if the ledger does not answer, and looks after them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from failsoft.dispatcher import Dispatcher
from failsoft.dispatcher.handles.resolve import resolve
from failsoft.dispatcher.options.options import ID_BYTES, id_at
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import (
    JobNotFoundError,
    JobStateError,
    LedgerUnavailableError,
)
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, ACCEPT, RESUME, JobState
from tests.simulation.jobs.waits import NEWS
from tests.simulation.processes.requests import Ask, Handle, Requests
from tests.simulation.scheduler import Process
from tests.simulation.shared_state import Parts, SharedState

CANCELS, REPEATS, SENDS, TIDIES = 0.15, 0.2, 0.7, 0.3
PATIENCE = 5
#: How long after the last order a client looks again at what became of them, in seconds.
A_WHILE = 15


class Client:
    """Dispatches some jobs, sends some the event that they may wait for, and cancels some."""

    def __init__(self, shared: SharedState, process: Process, orders: Iterator[int]) -> None:
        self.process = process
        self.is_done = False
        self._shared = shared
        self._orders = orders
        self._parts = Parts(shared)
        self._requests = Requests(shared.jobs, shared.faults.rng)
        parts = self._parts
        self._dispatcher = Dispatcher(
            parts.ledger, parts.router, parts.offerer, listener=shared.hear, ids=self._new_id
        )

    def start(self) -> None:
        """Begin to dispatch, and to probe what is broken."""
        self._shared.scheduler.spawn(self.process, "dispatch", self._dispatch_all)
        self._shared.repeat(self.process, "probe", 1.0, self._parts.engines.check)

    def _new_id(self, clock: Clock) -> str:
        return id_at(clock.now(), self._shared.ids.randbytes(ID_BYTES).hex())

    def _dispatch_all(self) -> None:
        rng = self._shared.faults.rng
        for number in self._orders:
            self._shared.scheduler.sleep(rng.uniform(0, 6))
            handles = self._dispatch(self._requests.any(number))
            self._look_after(handles)
        self._shared.scheduler.sleep(A_WHILE)
        self._tidy_up()
        self.is_done = True

    def _dispatch(self, ask: Ask) -> Sequence[Handle]:
        handles: Sequence[Handle] = ()
        for _ in range(PATIENCE):
            try:
                handles = ask(self._dispatcher)
            except LedgerUnavailableError:
                self._shared.scheduler.sleep(1.0)
                continue
            self._shared.accepted.update(handle.id for handle in handles)
            if self._shared.faults.rng.random() >= REPEATS:
                break
            self._shared.faults.notice("a job was dispatched again with its key")
        return handles

    def _look_after(self, handles: Sequence[Handle]) -> None:
        """Send what it may wait for, cancel it, or see to the others; if the ledger answers."""
        with suppress(LedgerUnavailableError, JobNotFoundError):
            self._send_or_cancel(handles)
        if self._shared.faults.rng.random() < TIDIES:
            self._tidy_up()

    def _send_or_cancel(self, handles: Sequence[Handle]) -> None:
        rng = self._shared.faults.rng
        if handles and rng.random() < SENDS:
            self._send(handles[0].id)
        if handles and rng.random() < CANCELS:
            self._shared.scheduler.sleep(rng.uniform(0, 8))
            self._parts.ledger.cancel(rng.choice(handles).id, "a client")

    def _send(self, job_id: str) -> None:
        self._shared.scheduler.sleep(self._shared.faults.rng.uniform(0, 12))
        self._dispatcher.send_event(NEWS, f"for {job_id}", to=job_id, event_id=job_id)
        self._shared.sent[job_id] = self._shared.scheduler.clock.steady()

    def _tidy_up(self) -> None:
        """Do what people do: try the failed again, and settle what is held."""
        with suppress(LedgerUnavailableError, JobNotFoundError, JobStateError):
            self._dispatcher.retry_many(limit=2, actor="a client")
            unique = self._shared.jobs.one_each.name
            if self._dispatcher.retry_many(name=unique, limit=2, actor="a client").refused:
                self._shared.faults.notice("a retry was refused: its key was held")
            for job in self._parts.ledger.list_jobs(states=[JobState.HELD], limit=1):
                self._settle(job.id)

    def _settle(self, job_id: str) -> None:
        transition = self._shared.faults.rng.choice((RESUME, RESUME, ACCEPT, ABANDON))
        result = "[]" if transition is ACCEPT else None
        resolve(self._parts.ledger, job_id, Resolution(transition, "a client", "", result))
