"""A Failsoft on real servers: a SQL ledger, brokers, and worker processes that are killed."""

import asyncio
import os
import shutil
import signal
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from failsoft.dispatcher.plugins.plugin import FreezableServer
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import ConfigurationError, JobNotFoundError, LedgerError
from failsoft.job_engine.policies.queue import declared_queues, queue_profile
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Event
from failsoft.ledger import SqlLedger
from failsoft.testkit.assembly import assemble
from failsoft.testkit.catalogue import KitCatalogue
from failsoft.testkit.driven_world import TTL, DrivenWorld
from failsoft.testkit.real.channel import Frame
from failsoft.testkit.real.clock import SharedClock
from failsoft.testkit.real.misfortunes import ANY, Misfortunes
from failsoft.testkit.real.servers import LedgerKind, session_servers, wake
from failsoft.testkit.real.worker import Order, take_away
from failsoft.testkit.real.workers import RealWorker
from failsoft.testkit.results import Attempt, Failure, ProcessDied
from failsoft.testkit.traps import Trap
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.demo.environment.env_settings import only_these_settings
from failsoft.worker.engine_sites import LedgerOffers, build_engines, release_engines
from failsoft.worker.ledger_access import open_ledger

#: How long a dispatch may try to hand a job over: longer than a machine stands that is busy.
BUDGET = timedelta(seconds=6)
#: How old a heartbeat is, at most, that is not sent again.
BEAT = timedelta(seconds=30)


@dataclass
class _Noted:
    """What worker processes reported of jobs, by their ids."""

    bodies: defaultdict[str, list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    errors: dict[str, BaseException] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)


class RealWorld(DrivenWorld[RealWorker]):
    """`World` on servers and processes.

    A worker process starts when its queue has the first job that is to run; before that, and for
    the time that a test leaps over, the heartbeats are sent from here.
    """

    def __init__(
        self, engines: Sequence[str], start: datetime | None, ledger: LedgerKind = "sqlite"
    ) -> None:
        """Begin with an empty ledger, engines that are up, and a worker for each queue.

        Raises:
            FailsoftError: A server could not be started.
        """
        self._stack = ExitStack()
        with self._stack:
            self._servers = session_servers()
            self._folder = self._own_folder()
            clock = SharedClock(self._folder / "clock")
            super().__init__(engines, clock, KitCatalogue(lambda definition: definition))
            self._shared = clock
            self._open(ledger)
            clock.advance(timedelta(0) if start is None else start - clock.now())
            self._stack = self._stack.pop_all()
        self._workers: dict[tuple[str, str], RealWorker] = {}
        self._number = 0
        self._beaten: dict[str, datetime] = {}
        self._traps: list[Trap] = []
        self._modules: list[str] = []
        self._down: set[str] = set()
        self._missing: dict[tuple[str, str], frozenset[tuple[str, int]]] = {}
        self._redelivered: set[tuple[str, str]] = set()
        self._noted = _Noted()
        self._misfortunes = Misfortunes(_die, lambda point: self._spread())
        self._misfortunes.arm()
        self._stack.callback(self._misfortunes.disarm)
        self._assemble()

    @property
    def ledger(self) -> SqlLedger:
        """The ledger."""
        return self._ledger

    @property
    def ledger_url(self) -> str | None:
        """The URL of the ledger's database."""
        return self._settings.ledger_url

    def bodies(self, job_id: str) -> Sequence[tuple[int, str]]:
        """Return the steps of a job whose bodies returned."""
        return self._noted.bodies.get(job_id, ())

    def error_of(self, job_id: str) -> BaseException | None:
        """Return what the handler of a job raised last, made again here if its class is known."""
        return self._noted.errors.get(job_id)

    def step_of(self, job_id: str) -> str | None:
        """Return the step that the last attempt of a job began last."""
        return self._noted.steps.get(job_id)

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Do nothing: handlers run in the loop of their process."""

    def fail_engine(self, name: str, how: Failure, times: int | None) -> None:
        """Kill an engine's server, stop it, or stop its workers."""
        if how == "no-workers":
            self.stop_workers(name, None)
            return
        if how not in ("refuse", "silent") or times is not None:
            what = repr(how) if times is None else f"{how!r} for {times} offers"
            raise AssertionError(
                "expected 'refuse', 'silent' or 'no-workers' until heal_engine in real mode, got "
                f"{what}: a server cannot be made to; run the test with mode='manual'"
            )
        server = self._server(name)
        self._down.add(name)
        if how == "refuse":
            server.kill()
        elif server.pid is not None:
            os.kill(server.pid, signal.SIGSTOP)

    def heal_engine(self, name: str) -> None:
        """Start an engine's server where it was, and its workers anew."""
        if name in self._down:
            wake(self._server(name))
            self._down.discard(name)
            self._replace_workers(name)
        self._stopped = {(engine, queue) for engine, queue in self._stopped if engine != name}
        self._beat()

    def stop_workers(self, engine: str, queue: str | None) -> None:
        """Stop the worker processes of an engine, of a queue or of all."""
        self._stopped.add((engine, queue))
        for each in declared_queues():
            if queue in (None, each):
                self._retire(self._boot_id(engine, each))
                worker = self._workers.pop((engine, each), None)
                if worker is not None:
                    worker.stop()

    def wipe_engine(self, name: str) -> None:
        """Start an engine's server without its data."""
        server = self._server(name)
        was_down = name in self._down
        server.kill()
        shutil.rmtree(self._servers.folder / name)
        if not was_down:
            server.start()
        self._replace_workers(name)

    def redeliver(self, job_id: str) -> None:
        """Send the newest message of a job again.

        Raises:
            AssertionError: No engine has ever had one.
        """
        job = self.ledger.get(job_id)
        if job.engine is None or job.epoch == 0:
            raise AssertionError(f"expected a job that an engine was offered, got {job_id}")
        self._let_finish(job.engine, job.queue)
        message = self._keys.sign(job.id, job.epoch, job.engine)
        deadline = Deadline.after(self.clock, BUDGET)
        self._engines.offer(job.engine, message, queue_profile(job.queue), deadline)
        self._redelivered.add((job.engine, job.queue))

    def _let_finish(self, engine: str, queue: str) -> None:
        """Let a worker end with its broker what it has processed.

        It says that an attempt has ended before that, and RQ would delete the same message of later
        with the one that has ended.
        """
        worker = self._workers.get((engine, queue))
        while worker is not None and worker.listen():
            pass
        if worker is not None and worker.holds is None:
            worker.stop()
            self._forget(worker)

    def set_trap(self, trap: Trap) -> None:
        """Let something befall the next attempt that comes to a step."""
        self._traps.append(trap)

    def lose_lease(self, job_id: str) -> None:
        """Take a job away from the attempt that runs it, or from the next one."""
        if self.ledger.get(job_id).state is JobState.RUNNING:
            take_away(self.ledger, job_id)
        else:
            self._traps.append(Trap("lose", "during", None, job_id))

    def ledger_down(self, during: str | None, times: int) -> None:
        """Let the ledger be away in the next calls, of whichever process."""
        self._misfortunes.away[during or ANY] = times
        self._spread()

    def crash_at(self, point: str) -> None:
        """Let the process die that comes to a crash point next."""
        self._misfortunes.crash = point
        self._spread()

    def close(self) -> None:
        """End the worker processes, and let go of the ledger; the servers stay."""
        for name in self._down:
            wake(self._server(name))
        self._down.clear()
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._stack.close()

    def _own_folder(self) -> Path:
        found = TemporaryDirectory(prefix="test-", dir=self._servers.folder)
        return Path(self._stack.enter_context(found))

    def _open(self, kind: LedgerKind) -> None:
        """Open the ledger, with settings that are this test's and nobody else's."""
        url = self._stack.enter_context(self._servers.ledger(kind, self._folder))
        given = {**self._servers.settings(self.engines), "FAILSOFT_LEDGER_URL": url}
        with only_these_settings(given):
            self._environment = dict(os.environ)
            self._settings = load_settings(_env_file=None)
            self._offers = LedgerOffers()
            self._adapters = build_engines(self._settings, self._offers)
        self._stack.callback(release_engines, self._settings)
        self._ledger = open_ledger(self._settings)
        self._stack.callback(self._ledger.database.close)
        self._ledger.database.close()
        self._shared.rule(self._ledger.database)

    def _assemble(self) -> None:
        assembled = assemble(
            *(self.ledger, self._adapters),
            clock=self.clock,
            listener=self.events.append,
            jobs=self._scheduled,
            budget=BUDGET,
            namespace=self._settings.namespace,
        )
        self._offers.bind(self.ledger, assembled.keys)
        self.drive(assembled)

    def _server(self, name: str) -> FreezableServer:
        server = self._servers.engine(name)
        if server is None:
            raise AssertionError(
                f"expected an engine with a server of its own in real mode, got {name}, which has "
                "none; run the test with mode='manual'"
            )
        return server

    def _registered(self, definition: AnyDefinition) -> None:
        handler: Any = definition.handler
        if handler is not None:
            module = handler.__module__
            if module == "__main__" or "<locals>" in handler.__qualname__:
                raise ConfigurationError(
                    f"expected a job of a module that worker processes can import in real mode, "
                    f"got {definition.name} ({module}.{handler.__qualname__}); define it at the "
                    "top of a module"
                )
            if module not in self._modules:
                self._modules.append(module)
        super()._registered(definition)

    # Worker processes

    def _next(self, queue: str | None) -> RealWorker | None:
        waiting = self._waiting()
        for engine, profile in self._lanes(queue):
            lane = (engine, profile.name)
            if engine in self._down:
                continue
            worker = self._workers.get(lane)
            while worker is not None and worker.listen():
                pass
            if worker is not None and worker.has_ended:
                self._forget(worker)
                worker = None
            if worker is not None and worker.holds is not None:
                return worker
            expected = waiting.get(lane, frozenset())
            if lane in self._redelivered or (expected and expected != self._missing.get(lane)):
                worker = worker or self._start(*lane)
                if worker.await_message() or worker.has_ended:
                    return worker
                # What was lost on the way is not waited for again.
                self._missing[lane] = expected
                self._redelivered.discard(lane)
        return None

    def _waiting(self) -> dict[tuple[str, str], frozenset[tuple[str, int]]]:
        """Return the offers that engines should have, by engine and queue."""
        found = defaultdict[tuple[str, str], set[tuple[str, int]]](set)
        for job in self._unfinished():
            if job.state is JobState.OFFERED:
                found[str(job.engine), job.queue].add((job.id, job.epoch))
        return {lane: frozenset(jobs) for lane, jobs in found.items()}

    def _attempt(self, found: RealWorker) -> Attempt | None:
        job_id = found.holds or self._next_of(found)
        lane = (found.engine, found.queue)
        self._redelivered.discard(lane)
        frame = None
        if found.holds is not None:
            frame = found.process([asdict(trap) for trap in self._traps], self._modules)
        name = self._name_of(job_id)
        if frame is None:
            self._forget(found)
            return Attempt(job_id, name, found.engine, None, died=True)
        if frame["error"] is not None:
            self._noted.errors[job_id] = _made_again(frame["error"])
        if frame["epoch"] is None:
            return None
        self._noted.steps[job_id] = frame["step"]
        return Attempt(job_id, name, found.engine, self._state_of(job_id, frame["epoch"]))

    def _state_of(self, job_id: str, epoch: int) -> JobState | None:
        """Return the state in which an attempt left its job; None if it recorded no end."""
        mine = [each for each in self.ledger.attempts(job_id) if each.epoch == epoch]
        return self.ledger.get(job_id).state if mine and mine[0].outcome is not None else None

    def _next_of(self, worker: RealWorker) -> str:
        jobs = self._waiting().get((worker.engine, worker.queue))
        return min(jobs)[0] if jobs else ""

    def _name_of(self, job_id: str) -> str:
        try:
            return self.ledger.get(job_id).name
        except (JobNotFoundError, LedgerError):
            return "?"

    def _start(self, engine: str, queue: str) -> RealWorker:
        boot_id = self._boot_id(engine, queue)
        log = self._folder / f"{boot_id}.log"
        log.touch()
        worker = RealWorker(engine, queue, boot_id, log, self._received)
        order = Order(
            *(engine, queue, boot_id),
            environment=self._environment,
            folder=str(Path.cwd()),
            path=sys.path,
            modules=self._modules,
            clock=str(self._folder / "clock"),
            log=str(log),
        )
        worker.start(self._servers.template, order)
        self._workers[engine, queue] = worker
        worker.send("misfortunes", **self._misfortunes.given())
        return worker

    def _forget(self, worker: RealWorker) -> None:
        """Note that a process is gone; the next one of its queue is another worker."""
        worker.close()
        self._workers.pop((worker.engine, worker.queue), None)
        self._retire(worker.boot_id)
        self._number += 1
        self._beat()

    def _replace_workers(self, engine: str) -> None:
        for worker in [each for each in self._workers.values() if each.engine == engine]:
            self._forget(worker)

    def _received(self, worker: RealWorker, frame: Frame) -> None:
        if frame["what"] == "event":
            self.events.append(Event(**frame["event"]))
        elif frame["what"] == "body":
            done = (frame["epoch"], frame["name"])
            bodies = self._noted.bodies[frame["job_id"]]
            if done not in bodies:
                bodies.append(done)
        elif frame["what"] == "sprung":
            with suppress(ValueError):
                self._traps.remove(Trap(**frame["trap"]))
        elif frame["what"] == "reached":
            self._misfortunes.note(frame["point"])
            self._spread(but=worker)

    def _spread(self, but: RealWorker | None = None) -> None:
        """Let every process have the same misfortunes before it."""
        for worker in self._workers.values():
            if worker is not but:
                worker.send("misfortunes", **self._misfortunes.given())

    # Heartbeats

    def _beat(self) -> None:
        for engine, queue in self._lanes(None):
            boot_id = self._boot_id(engine, queue.name)
            now, before = self.clock.now(), self._beaten.get(boot_id)
            if before is not None and now - before < BEAT:
                continue
            worker = WorkerRecord(boot_id, engine, queue.name, "test", os.getpid(), 1)
            with suppress(LedgerError):
                self.ledger.beat(worker, TTL)
                self._beaten[boot_id] = now

    def _retire(self, boot_id: str) -> None:
        self._beaten.pop(boot_id, None)
        with suppress(LedgerError):
            self.ledger.retire(boot_id)

    def _boot_id(self, engine: str, queue: str) -> str:
        worker = self._workers.get((engine, queue))
        if worker is not None:
            return worker.boot_id
        # The servers, where RQ knows a worker by its name alone, have workers of other tests, too.
        return f"{engine}-{queue}-{self._settings.namespace}-{self._number}"


def _die(point: str) -> None:
    """Let the test's own process end as far as the kit can: it cannot be killed.

    Raises:
        ProcessDied: Always.
    """
    raise ProcessDied(f"the process died at {point}")


def _made_again(raised: Frame) -> BaseException:
    """Return an exception of a worker process, or what is known of it if it cannot be made."""
    found: Any = sys.modules.get(raised["module"])
    for part in raised["name"].split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        with suppress(Exception):
            return found(*raised["args"])
    return RuntimeError(raised["text"])
