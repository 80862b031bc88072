"""One worker process: one engine, one queue, with its leases, heartbeats and maintenance."""

import logging
import os
import platform
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import count
from typing import TypeVar

import click

from failsoft.dispatcher.plugins.plugin import EngineWorker, WorkerPost
from failsoft.job_engine.attempt.interrupts import CancelRequested, Fenced
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import FailsoftError, LedgerError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.outcome import timed_out
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile, queue_profile
from failsoft.job_engine.records.job import Claim, Conclusion, Ticket, WorkerInfo, WorkerRecord
from failsoft.job_engine.records.states import RELEASE
from failsoft.job_engine.telemetry import Event
from failsoft.worker.attempts.admission import Admission, WorkerIdentity
from failsoft.worker.attempts.claim_returns import ClaimReturns
from failsoft.worker.attempts.fork_server import ForkServer
from failsoft.worker.attempts.lease_keeper import LeaseKeeper
from failsoft.worker.attempts.processor import Processor
from failsoft.worker.attempts.runners import CautiousRunner, ChildRunner, Runner, ThreadRunner
from failsoft.worker.attempts.slot_watch import SlotWatch
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.configuration.settings import Settings, adopt, load_settings
from failsoft.worker.configuration.slots import Slots, with_slots
from failsoft.worker.engine_sites import expect_engine, site_of
from failsoft.worker.exit_codes import CONFIG, OK, TRY_AGAIN, exit_code
from failsoft.worker.logs.output import configure_logs, flush_logs
from failsoft.worker.logs.streams import open_standard_streams
from failsoft.worker.logs.visible import described
from failsoft.worker.processes.beats import Beats
from failsoft.worker.processes.forks import guard_forks
from failsoft.worker.processes.garbage import keep_what_is_loaded
from failsoft.worker.processes.last_exit import HASTE_SECONDS, exit_within
from failsoft.worker.processes.loop_thread import LoopThread, SoonAtFirst, at_intervals
from failsoft.worker.processes.memory import resident_kib
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.processes.sessions import birth, this_machine
from failsoft.worker.processes.signals import on_stop_signals
from failsoft.worker.supervision.bridge import BridgeProcess
from failsoft.worker.supervision.maintenance import MaintenanceProcess, maintenance_thread
from failsoft.worker.supervision.namespace_guard import EVERY, NamespaceGuard
from failsoft.worker.supervision.posts import BRIDGE, MAINTENANCE
from failsoft.worker.tracing import flush_traces
from failsoft.worker.wiring import KEEPERS, App, build

logger: logging.Logger = logging.getLogger("failsoft.worker")

W = TypeVar("W", bound="WorkerProcess")

#: How often it is checked whether the attempts have ended, in seconds.
LOOK_SECONDS = 0.1
#: The conclusion of an attempt whose worker stops first.
_WORKER_STOPS = Conclusion(RELEASE, reason="worker stops")


@cache
def _version() -> str:
    # Only now: what it imports takes longer than most commands do.
    from importlib.metadata import version  # noqa: PLC0415 - see above

    return version("failsoft-worker")


class WorkerProcess:
    """Everything that one worker process does.

    Args:
        app: Failsoft.
        catalogue: The jobs.
        identity: The engine and the queue to serve.
        boot_id: What identifies this process in the ledger and to its parent.
        fork_server: Forks the children of attempts; one that starts with the first of them unless
            given.
        beats: Where it reports to its parent that it serves.
    """

    def __init__(
        self,
        app: App,
        catalogue: Catalogue,
        identity: tuple[str, QueueProfile],
        boot_id: str,
        *,
        fork_server: ForkServer | None = None,
        beats: Beats | None = None,
    ) -> None:
        engine, queue = identity
        self._app = app
        self._settings = app.settings
        self._queue = queue
        self._engine = engine
        self._boot_id = boot_id
        self._fork_server = fork_server or ForkServer(app.settings)
        self._beats = beats or Beats()
        self._stopping = threading.Event()
        self._beating = threading.Lock()
        self._catalogue = catalogue
        self._returns = ClaimReturns(app.ledger, app.clock, app.listener)
        self._executor = Executor(
            *(app.ledger, catalogue, app.clock, app.listener),
            unrecorded=self._returns.owe,
            measures=app.measures,
        )
        self._keeper = LeaseKeeper(app.ledger, app.clock, self._time_out, self._returns)
        self._admission = Admission(
            WorkerIdentity(engine, queue, self._boot_id),
            app.ledger,
            app.keys,
            clock=app.clock,
            listener=app.listener,
            stopping=self._stopping.is_set,
            give_back=self._give_back,
        )
        # The engine's worker begins to serve a moment later than the first heartbeat is due.
        self._beat_pause = SoonAtFirst(self._settings.worker_beat)
        maintenance = maintenance_thread(app, self._stopping)
        self._status = OK
        self._guard = NamespaceGuard(app.engines, [engine], self._refuse)
        self._periodic = [
            LoopThread("beat", self._beat_pause, self._beat),
            maintenance,
            LoopThread("namespace", at_intervals(EVERY), self._guard.check),
        ]
        self._watch = SlotWatch(queue.slots_on(engine), self._keeper.held, app.clock)
        runner = self._build_runner()
        processor = Processor(self._admission, runner, maintenance.wake, self._watch)
        self._worker = self._build_worker(processor)

    def run(self) -> None:
        """Work until `stop` is called, then give back what cannot be finished in time.

        Raises:
            NamespaceTakenError: The broker's namespace is another ledger's.
        """
        self._beats.up()
        self._guard.expect_ours()
        self._emit("worker.start")
        self._keeper.start()
        self._returns.start()
        for periodic in self._periodic:
            periodic.start()
        try:
            self._worker.run(self._stopping)
        except Exception:
            self._end_attempts()
            raise
        finally:
            # As long as attempts may take: a claim that is not given back is charged to its job.
            self._returns.wait_until_settled(self._settings.shutdown_grace)
            self._leave()
            self._fork_server.close()
        if self._status != OK:
            sys.exit(self._status)

    def _refuse(self) -> None:
        """Stop for good: a restart with these settings would find the same."""
        self._status = CONFIG
        _in_thread(self.stop)

    def stop(self) -> None:
        """Take no more messages; attempts give their job back at their next step.

        The heartbeat is withdrawn first: what is given back must not be offered to this worker
        again. A ledger that does not answer delays the end of the process by at most the grace.
        """
        self._stopping.set()
        grace = self._settings.shutdown_grace.total_seconds()
        timer = threading.Timer(grace, self.abandon)
        timer.daemon = True
        timer.start()
        exit_within(grace + HASTE_SECONDS, self._status)
        self._retire()
        self._keeper.release_all()

    def _end_attempts(self) -> None:
        """Let the attempts end as at a stop, after the engine's worker ended by itself.

        Threads of an interpreter that exits could record nothing, and fail as the job's errors.
        """
        grace = self._settings.shutdown_grace.total_seconds()
        exit_within(grace + HASTE_SECONDS, TRY_AGAIN)
        self._stopping.set()
        self._keeper.release_all()
        ends = time.monotonic() + grace
        while self._keeper.held() and time.monotonic() < ends:
            time.sleep(LOOK_SECONDS)
        self._give_back_held()

    def _give_back_held(self) -> None:
        for claim, lease in self._keeper.held():
            lease.revoke(Fenced)
            self._returns.owe(claim, _WORKER_STOPS)

    def abandon(self) -> None:
        """Stop now: give back every job that is still held, if the ledger answers; exit."""
        exit_within(HASTE_SECONDS, self._status or TRY_AGAIN)
        self._give_back_held()
        # One request for all of them, which fails at once if the ledger is away.
        with suppress(LedgerError):
            self._returns.settle()
        self._leave()
        os._exit(self._status or (TRY_AGAIN if self._returns.count else OK))

    def _time_out(self, claim: Claim) -> None:
        if claim.name in self._catalogue:
            self._returns.owe(claim, timed_out(self._catalogue.of(claim), claim))

    def _give_back(self, ticket: Ticket) -> None:
        # The claim may not have been made: the rest of its row is unknown.
        claim = Claim(
            ticket.job_id,
            ticket.epoch,
            ticket.claim_id,
            ticket.engine,
            ticket.worker,
            name="",
            queue=ticket.queue,
            payload="",
            attempt=0,
            errors=0,
            crashes=0,
            releases=0,
            lease=ticket.lease,
        )
        self._returns.owe(claim, Conclusion(RELEASE, reason="claim in doubt"))

    def _build_runner(self) -> Runner:
        parts = (self._executor, self._catalogue, self._keeper, self._queue)
        in_children = ChildRunner(*parts, self._fork_server)
        if self._queue.isolation == "process":
            return in_children
        return CautiousRunner(ThreadRunner(*parts), in_children)

    def _leave(self) -> None:
        for periodic in self._periodic:
            periodic.stop()
        self._keeper.stop()
        self._returns.stop()
        self._retire()
        self._app.dispatcher.flush()
        flush_traces()
        flush_logs()
        self._emit("worker.stop")

    def _beat(self) -> None:
        with self._beating:
            if not self._worker.is_serving() or self._stopping.is_set():
                return
            measured = self._app.measures.take()
            try:
                self._app.ledger.beat(self._record(), self._settings.worker_ttl, measured)
                self._app.measures.written(measured)
            except LedgerError:
                # Slots that wait for the ledger stand still, and are not lost.
                self._watch.begin_anew()
                raise
            self._beats.serving()
            self._beat_pause.succeeded()
            if not self._watch.any_moves():
                self._restart()

    def _restart(self) -> None:
        """End this process, whose slots are all lost; the supervisor starts another."""
        if not self._status:
            logger.error("no slot of this worker moves any more; it ends, to be started again")
            self._status = TRY_AGAIN
            self._stopping.set()
            _in_thread(self.abandon)

    def _retire(self) -> None:
        with self._beating, suppress(LedgerError):
            self._app.ledger.retire(self._boot_id)

    def _record(self) -> WorkerRecord:
        return WorkerRecord(
            self._boot_id,
            self._engine,
            self._queue.name,
            socket.gethostname(),
            os.getpid(),
            self._queue.slots_on(self._engine),
            machine=this_machine(),
            birth=birth(os.getpid()),
            info=self._info(),
        )

    def _info(self) -> WorkerInfo:
        engines = self._app.engines
        return WorkerInfo(
            version=_version(),
            python=platform.python_version(),
            jobs=sum(1 for _ in self._catalogue),
            # A slot is free when the code of its job is over.
            busy=sum(not lease.has_ended for _, lease in self._keeper.held()),
            rss_kb=resident_kib(),
            breakers=tuple(name for name in engines if engines.breaker(name).is_open),
        )

    def _build_worker(self, processor: Processor) -> EngineWorker:
        found, site = site_of(self._settings, self._engine, self._app.offers)
        return found.build_worker(site, self._post(processor))

    def _post(self, processor: Processor) -> WorkerPost:
        return WorkerPost(
            self._queue,
            self._queue.slots_on(self._engine),
            self._boot_id,
            self._settings.shutdown_grace,
            self._app.clock,
            processor,
            self._admission.reject,
            self._stop_job,
            processor.begin,
        )

    def _stop_job(self, job_id: str) -> None:
        self._app.ledger.cancel(job_id, f"stop command of {self._engine}")
        self._keeper.revoke(job_id, CancelRequested)

    def _emit(self, kind: str) -> None:
        detail = {
            "worker": self._boot_id,
            "pid": os.getpid(),
            "slots": self._queue.slots_on(self._engine),
        }
        self._app.listener(Event(kind, queue=self._queue.name, engine=self._engine, detail=detail))


@click.command()
@click.argument("engine")
@click.argument("queue", default=DEFAULT.name)
@click.option("--parent", type=int, help="The process that this one ends with.")
@click.option("--beats", type=int, help="Where it reports that it serves: a pipe's end.")
@click.option("--boot-id", help="What identifies the process; a random one where absent.")
@click.option("--ledger", help="Which ledger of FAILSOFT_LEDGERS it works on.")
def main(
    *,
    engine: str,
    queue: str,
    parent: int | None,
    beats: int | None,
    boot_id: str | None,
    ledger: str | None,
) -> None:
    """Run one worker process until a signal.

    SIGTERM or SIGINT stops it gracefully, a second one at once.
    """
    open_standard_streams()
    die_with_parent(parent)
    try:
        settings = load_settings(**({"ledger_name": ledger} if ledger else {}))
        adopt(settings)
        configure_logs(settings)
        reports = Beats(beats)
        process = _prepare(settings, (engine, queue), boot_id or secrets.token_hex(8), reports)
        _stop_on_signals(process)
        guard_forks()
        keep_what_is_loaded()
        process.run()
    except FailsoftError as error:
        with suppress(OSError):
            click.echo(described(error), err=True)
        sys.exit(exit_code(error))


def _prepare(
    settings: Settings, post: tuple[str, str], boot_id: str, beats: Beats
) -> WorkerProcess | MaintenanceProcess | BridgeProcess:
    engine, queue = post
    if engine == MAINTENANCE:
        return MaintenanceProcess(build(settings, jobs=load_catalogue(settings)), beats)
    if queue == BRIDGE:
        expect_engine(settings, engine)
        return BridgeProcess(build(settings, jobs=load_catalogue(settings)), engine, boot_id, beats)

    def make(
        app: App, jobs: Catalogue, identity: tuple[str, QueueProfile], forks: ForkServer
    ) -> WorkerProcess:
        return WorkerProcess(app, jobs, identity, boot_id, fork_server=forks, beats=beats)

    return prepare_worker(settings, post, settings.slots, make)


def prepare_worker(
    settings: Settings,
    identity: tuple[str, str],
    slots: Slots,
    make: Callable[[App, Catalogue, tuple[str, QueueProfile], ForkServer], W],
) -> W:
    """Put a worker process together.

    Args:
        settings: The settings.
        identity: The engine and the queue to serve.
        slots: How many attempts it runs side by side, by queue.
        make: Makes it of its parts.

    Raises:
        FailsoftError: A setting is wrong, or the ledger does not answer.
    """
    engine, queue = identity
    catalogue = load_catalogue(settings)
    expect_engine(settings, engine)
    profile = with_slots(queue_profile(queue), slots)
    if settings.lease is not None:
        profile = replace(profile, lease=settings.lease)
    catalogue.require_handlers([profile.name])
    fork_server = ForkServer(settings)
    if profile.isolation == "process":
        # As long as this process has one thread, and no ledger is open.
        fork_server.start()
    app = build(settings, jobs=catalogue, connections=profile.slots_on(engine) + KEEPERS)
    return make(app, catalogue, (engine, profile), fork_server)


def _stop_on_signals(process: WorkerProcess | MaintenanceProcess | BridgeProcess) -> None:
    seen = count()
    # In a thread, because the handler may have interrupted code that holds a lock.
    on_stop_signals(lambda: _in_thread(process.abandon if next(seen) else process.stop))


def _in_thread(stop: Callable[[], None]) -> None:
    threading.Thread(target=stop, name="failsoft-stop", daemon=True).start()
