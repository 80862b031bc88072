"""A worker process of the kit: a worker as any, that waits for the test before each message.

Everything that the product's worker process does it does, too, but the maintenance: that is the
test's process. Attempts of every queue run in its thread, one at a time.
"""

import importlib
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from failsoft.dispatcher.default import use_dispatcher
from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.offering.bounded_caller import nothing
from failsoft.dispatcher.plugins.plugin import EngineWorker
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.policies.queue import QueueProfile, queue_profile
from failsoft.job_engine.records.job import (
    Claim,
    Conclusion,
    StepRecord,
    Ticket,
    WorkerRecord,
)
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Event
from failsoft.ledger import SqlLedger
from failsoft.testkit.catalogue import KitCatalogue, noting_errors
from failsoft.testkit.real.channel import Channel, Frame
from failsoft.testkit.real.clock import SharedClock
from failsoft.testkit.real.misfortunes import Misfortunes
from failsoft.testkit.traps import Trap, Traps
from failsoft.worker.attempts.processor import Processor
from failsoft.worker.attempts.runners import Runner, ThreadRunner
from failsoft.worker.configuration.settings import adopt, load_settings
from failsoft.worker.configuration.slots import ALL, with_slots
from failsoft.worker.ledger_access import open_database
from failsoft.worker.logs.output import configure_logs
from failsoft.worker.process import WorkerProcess
from failsoft.worker.wiring import App, build


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker process is started with.

    Attributes:
        environment: The settings.
        folder: Where the process runs: the test's.
        path: Where it finds modules.
        modules: Those of the test's jobs.
        clock: The file of the clock.
        log: The file of its output.
    """

    engine: str
    queue: str
    boot_id: str
    environment: Mapping[str, str]
    folder: str
    path: Sequence[str]
    modules: Sequence[str]
    clock: str
    log: str


class NoMaintenance(Maintenance):
    """The test's process has it."""

    def __init__(self) -> None:
        """Look after nothing."""

    def tick(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Do nothing."""


class TrappedLedger(SqlLedger):
    """`SqlLedger` in which the traps of a test spring.

    Attributes:
        traps: Them.
        claimed: The last claim.
    """

    def __init__(self, found: SqlLedger, channel: Channel) -> None:
        super().__init__(found.database)
        self.traps: Traps = Traps(self._carry_out)
        self.claimed: Claim | None = None
        self._channel = channel

    def set(self, traps: Sequence[Trap]) -> None:
        """Have these traps, and no claim yet."""
        self.traps.waiting[:] = traps
        self.claimed = None

    def claim(self, ticket: Ticket) -> Claim | None:
        """Take an offered job."""
        self.claimed = super().claim(ticket)
        return self.claimed

    def begin(self, claim: Claim, name: str, seq: int) -> Sequence[StepRecord]:
        """Check the authority before a step."""
        found = super().begin(claim, name, seq)
        self.traps.beginning(claim, name, found)
        return found

    def record(self, claim: Claim, step: StepRecord) -> None:
        """Record a finished step."""
        self._finishing(claim, step)
        super().record(claim, step)
        self.traps.finished(claim, step)

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        """Record a step in the transaction of its work."""

        def body(transaction: Any) -> str:
            result = work(transaction)
            self._finishing(claim, step)
            return result

        recorded = super().record_in(claim, step, body)
        self.traps.finished(claim, step)
        return recorded

    def conclude(self, claim: Claim, conclusion: Conclusion) -> JobState:
        """End the attempt."""
        self.traps.concluding(claim, conclusion)
        state = super().conclude(claim, conclusion)
        self.traps.concluded(claim, conclusion)
        return state

    def _finishing(self, claim: Claim, step: StepRecord) -> None:
        self._channel.send("body", job_id=claim.job_id, epoch=claim.epoch, name=step.name)
        self.traps.finishing(claim, step)

    def _carry_out(self, trap: Trap, claim: Claim, step: str) -> None:
        self._channel.send("sprung", trap=asdict(trap))
        if trap.deed == "die":
            die(step)
        if trap.deed == "cancel":
            self.cancel(claim.job_id, "testkit")
        if trap.deed == "lose":
            take_away(self, claim.job_id)


def take_away(ledger: SqlLedger, job_id: str) -> None:
    """Do at once what a rescuer does to a running job that stood still for a lease."""
    job = ledger.get(job_id)
    if job.state is JobState.RUNNING:
        ledger.offer(job, OfferPlan(str(job.engine), timedelta(0), "lease lost: lose_lease"))


def die(_: str) -> None:
    """End this process at once, as the system would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Gate:
    """Lets each message in when the test drains.

    Attributes:
        process: What the messages go to; set once it is there.
        begin: Nothing: messages that were taken together come in one after the other.
    """

    begin: None = None

    def __init__(self, channel: Channel, ledger: TrappedLedger) -> None:
        self.process: Callable[..., object] = nothing
        self._channel = channel
        self._ledger = ledger
        self._orders: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._raised: list[BaseException] = []

    def let_in(self, order: Frame | None) -> None:
        """Let the next message in; None lets it return unprocessed."""
        self._orders.put(order)

    def note_error(self, error: BaseException) -> None:
        """Keep what a handler raised."""
        self._raised.append(error)

    def __call__(self, wire: Any, claimed: Callable[[], object] = nothing) -> None:
        """Process a message, as `Process` says."""
        job_id = wire.get("job_id") if isinstance(wire, dict) else None
        self._channel.send("message", job_id=job_id)
        order = self._orders.get()
        if order is None:
            return
        for name in order["modules"]:
            importlib.import_module(name)
        self._ledger.set([Trap(**each) for each in order["traps"]])
        self._raised.clear()
        self.process(wire, claimed)
        claim = self._ledger.claimed
        step = "" if claim is None else self._ledger.traps.begun.get(claim.claim_id, "")
        error = described(self._raised[-1]) if self._raised else None
        epoch = None if claim is None else claim.epoch
        self._channel.send("ended", job_id=job_id, epoch=epoch, step=step, error=error)


def described(error: BaseException) -> Mapping[str, object]:
    """Return an exception as the test's process can make it again."""
    kind = type(error)
    return {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "args": [each if isinstance(each, (str, int, float)) else str(each) for each in error.args],
        "text": f"{kind.__qualname__}: {error}",
    }


class KitWorkerProcess(WorkerProcess):
    """`WorkerProcess` whose messages wait at a gate, and whose attempts run in its threads."""

    def __init__(
        self,
        app: App,
        catalogue: Catalogue,
        identity: tuple[str, QueueProfile],
        boot_id: str,
        *,
        gate: Gate,
        channel: Channel,
    ) -> None:
        self._gate = gate
        self._channel = channel
        super().__init__(app, catalogue, identity, boot_id)

    def _build_runner(self) -> Runner:
        return ThreadRunner(self._executor, self._catalogue, self._keeper, self._queue)

    def _build_worker(self, processor: Processor) -> EngineWorker:
        self._gate.process = processor
        gate: Any = self._gate
        return super()._build_worker(gate)

    def _beat(self) -> None:
        super()._beat()
        if self._worker.is_serving():
            self._channel.send("serving")

    def _record(self) -> WorkerRecord:
        # As on a host of its own: what it ran is lost when its lease is, and not before.
        return replace(super()._record(), machine="", birth="")


def main(order: Order, end: socket.socket) -> None:
    """Be a worker process until the channel is closed."""
    _settle(order)
    settings = load_settings(_env_file=None)
    adopt(settings)
    configure_logs(settings)
    channel, clock = Channel(end), SharedClock(Path(order.clock))
    misfortunes = Misfortunes(die, lambda point: channel.send("reached", point=point))
    misfortunes.arm()
    database = open_database(settings)
    clock.rule(database)
    app = build(settings, lambda event: _emit(channel, event), clock=clock)
    ledger = TrappedLedger(app.ledger, channel)
    gate = Gate(channel, ledger)
    use_dispatcher(app.dispatcher)
    process = KitWorkerProcess(
        replace(app, ledger=ledger, maintenance=NoMaintenance()),
        KitCatalogue(lambda definition: noting_errors(definition, gate.note_error)),
        (order.engine, with_slots(queue_profile(order.queue), {ALL: 1})),
        order.boot_id,
        gate=gate,
        channel=channel,
    )
    threading.Thread(
        target=_obey,
        args=(channel, process, gate, misfortunes),
        name="failsoft-testkit",
        daemon=True,
    ).start()
    process.run()


def _settle(order: Order) -> None:
    """Set this process up as the order says: folder, settings, jobs."""
    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.folder)
    sys.path[:] = order.path
    for name in order.modules:
        importlib.import_module(name)


def _obey(
    channel: Channel, process: KitWorkerProcess, gate: Gate, misfortunes: Misfortunes
) -> None:
    """Do what the test's process requests; end with it."""
    while (frame := channel.receive()) is not None:
        if frame["what"] == "process":
            gate.let_in(frame)
        elif frame["what"] == "misfortunes":
            misfortunes.take(frame["crash"], frame["away"])
        elif frame["what"] == "stop":
            process.stop()
            gate.let_in(None)
    os._exit(0)


def _emit(channel: Channel, event: Event) -> None:
    channel.send("event", event={**asdict(event), "error": None})
