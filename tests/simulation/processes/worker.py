"""A worker process: everything that the real one does, in tasks instead of threads."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from failsoft.job_engine import outcome
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.records.job import Claim, WorkerRecord
from failsoft.worker.attempts.admission import Admission, WorkerIdentity
from failsoft.worker.attempts.claim_returns import ClaimReturns
from failsoft.worker.attempts.lease_keeper import LeaseKeeper
from failsoft.worker.attempts.processor import Processor
from failsoft.worker.attempts.runners import attempt_timeout
from failsoft.worker.attempts.slot_watch import SlotWatch
from tests.simulation.jobs.definitions import QUEUE
from tests.simulation.scheduler import Process
from tests.simulation.shared_state import LOOKS_EVERY, Parts, SharedState

BEAT_EVERY, BEAT_TTL = 2.0, timedelta(seconds=7)
LOOK_EVERY = 0.8
RETURN_EVERY = 1.0
POLL_EVERY = 1.5
MAINTAIN_EVERY = LOOKS_EVERY.total_seconds()


class Worker:
    """Serves one engine until it dies or is stopped."""

    def __init__(self, shared: SharedState, process: Process, engine: str) -> None:
        self._shared = shared
        self._engine = engine
        self.process = process
        self.is_stopping = False
        self._parts = Parts(shared)
        catalogue, clock, ledger = shared.jobs.catalogue, self._parts.clock, self._parts.ledger
        self._returns = ClaimReturns(ledger, clock, shared.hear)
        self._executor = Executor(
            ledger, catalogue, clock, shared.hear, unrecorded=self._returns.owe
        )
        self._keeper = LeaseKeeper(ledger, clock, self._time_out, self._returns)
        post = WorkerIdentity(engine, QUEUE, process.name)
        self._admission = Admission(
            post,
            ledger,
            self._parts.keys,
            clock=clock,
            listener=shared.hear,
            stopping=lambda: self.is_stopping,
        )
        self.record = WorkerRecord(process.name, engine, QUEUE.name, "host", 1, QUEUE.slots)

    def start(self) -> None:
        """Begin all that it does."""
        for slot in range(QUEUE.slots):
            self._shared.scheduler.spawn(self.process, f"slot {slot}", self._serve)
        repeat = self._shared.repeat
        repeat(self.process, "beat", BEAT_EVERY, self._beat)
        repeat(self.process, "renew", LOOK_EVERY, self._keeper._renew_due)
        repeat(self.process, "return", RETURN_EVERY, self._returns.settle)
        repeat(self.process, "watch", LOOK_EVERY, self._keeper._watch)
        repeat(self.process, "maintain", MAINTAIN_EVERY, self._parts.maintenance.tick)

    def stop(self) -> None:
        """Take no more, and give back what runs at its next step."""
        self.is_stopping = True
        with suppress(LedgerError):
            self._parts.ledger.retire(self.process.name)
        self._keeper.release_all()

    def is_idle(self) -> bool:
        """Return whether no attempt runs, and no claim is to be given back."""
        return not self._keeper.held() and not self._returns.count

    def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
        """Run an attempt as the thread runner does; only how it is interrupted is ours."""
        lease = Lease(self._shared.scheduler.interrupt)
        timeout = attempt_timeout(self._shared.jobs.catalogue, claim, QUEUE)
        with self._keeper.hold(claim, lease, timeout):
            self._executor.run(claim, lease)

    def _serve(self) -> None:
        watch = SlotWatch(QUEUE.slots, self._keeper.held, self._parts.clock)
        processor = Processor(self._admission, self, lambda: None, watch)
        broker = self._shared.brokers[self._engine]
        while not self.is_stopping:
            message = broker.take()
            if message is None:
                self._shared.scheduler.sleep(POLL_EVERY)
            else:
                processor(message.to_wire())

    def _beat(self) -> None:
        if not self.is_stopping:
            self._parts.ledger.beat(self.record, BEAT_TTL)

    def _time_out(self, claim: Claim) -> None:
        definition = self._shared.jobs.catalogue.get(claim.name)
        self._returns.owe(claim, outcome.timed_out(definition, claim))
