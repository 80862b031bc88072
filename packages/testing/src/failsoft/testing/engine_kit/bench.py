"""The bench that an engine is tried on: both halves as the product builds them, and its server."""

import json
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from failsoft.engine_api import (
    Caller,
    Deadline,
    EngineAdapter,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    LedgerUnavailableError,
    Message,
    MessageRejectedError,
    OfferWatch,
    Process,
    QueueProfile,
    SystemClock,
    WaitingOffers,
    WorkerPost,
)
from failsoft.testing.engine_kit.servers import Server
from failsoft.testing.engine_suite.bench import ForeignMessage, eventually

T = TypeVar("T")

#: The queue of every bench, and the namespace of its names on the server.
QUEUE = QueueProfile("bench", slots=4)
NAMESPACE = "bench"
#: How long a worker may take to end, once no attempt runs.
GRACE = timedelta(seconds=5)
#: How long a probe of the bench's own may take.
PROBE = timedelta(seconds=1)


class NoOffers:
    """`WaitingOffers` of a bench that has no ledger: every method raises."""

    def take(self, engine: str, queue: str, limit: int) -> Sequence[Message]:
        """Raise: there is no ledger."""
        raise _no_ledger()

    def holds(self, engine: str, queue: str, message: Message) -> bool:
        """Raise: there is no ledger."""
        raise _no_ledger()

    def count(self, engine: str, queue: str) -> int:
        """Raise: there is no ledger."""
        raise _no_ledger()

    def expect_writable(self, within: timedelta) -> None:
        """Raise: there is no ledger."""
        raise _no_ledger()

    def wake(self, engine: str, queue: str, within: timedelta) -> None:
        """Raise: there is no ledger."""
        raise _no_ledger()

    def watch(self, engine: str, queue: str) -> OfferWatch:
        """Raise: there is no ledger."""
        raise _no_ledger()


def _no_ledger() -> LedgerUnavailableError:
    return LedgerUnavailableError("expected a ledger, got a bench, which has none")


def site_of(
    plugin: EnginePlugin[Any], settings: Mapping[str, Any], offers: WaitingOffers | None = None
) -> EngineSite[Any]:
    """Return an engine with settings, on the bench's namespace."""
    variables = {name: name.upper() for name in plugin.settings.model_fields}
    read = plugin.settings(**settings)
    return EngineSite(plugin.kind, read, NAMESPACE, offers or NoOffers(), variables)


def post_of(process: Process, reject: Callable[[MessageRejectedError], None]) -> WorkerPost:
    """Return the place of a worker that serves the bench's queue."""
    return WorkerPost(
        queue=QUEUE,
        slots=QUEUE.slots,
        boot_id=f"bench-{secrets.token_hex(4)}",
        grace=GRACE,
        clock=SystemClock(),
        process=process,
        reject=reject,
        stop_job=lambda job_id: None,
    )


class Bench:
    """What all benches share: the processor and its ledger, and the worker's thread.

    A bench of an engine that is plugged in is a `PluginBench`.

    Attributes:
        foreign: Well-formed messages of the engine that name other code than ours; at least one.
        queue: The queue that the worker serves.
        grace: How long the worker may take to end, once no attempt runs.
        engine: The adapter.
    """

    foreign: Sequence[ForeignMessage] = ()
    queue: QueueProfile = QUEUE
    grace: timedelta = GRACE

    def __init__(self, engine: EngineAdapter, caller: Caller, server: Server | None) -> None:
        self.engine: EngineAdapter = engine
        self._caller = caller
        self._server = server
        self._changed = threading.Condition()
        self._got: list[object] = []
        self._keeps = True
        self._rejected = self._to_raise = self._to_hold = 0
        self._deciding = self._running = self._most_running = self._finished = 0
        self._is_ledger_there, self._lets_go = True, False
        self._worker: EngineWorker | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def build_worker(self) -> EngineWorker:
        """Return a worker whose post has `process` and `reject` of this bench."""
        raise NotImplementedError

    def plant(self, message: ForeignMessage) -> None:
        """Put a message that no adapter of ours sent where offers wait."""
        raise NotImplementedError

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Call the adapter as the dispatcher does, bounded by the deadline."""
        return self._caller.call(work, deadline)

    def ready(self) -> None:
        """Start the worker unless it runs, and return once it would take a message."""
        self._start()
        eventually(self.is_serving, "the worker serves")

    def received(self, count: int, timeout: timedelta) -> list[object]:
        """Return what the worker was given, as soon as there are `count` or the time is up."""
        self._start()
        with self._changed:
            self._changed.wait_for(lambda: len(self._got) >= count, timeout.total_seconds())
            return list(self._got)

    def rejected(self) -> int:
        """Return how many messages the worker has dropped."""
        return self._rejected

    def process(self, wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        """Do what the admission does with a message, and then run an attempt that does nothing."""
        try:
            Message.from_wire(wire)
        except MessageRejectedError as error:
            self.reject(error)
            claimed()
            return
        if not self._decide(wire):
            return
        claimed()
        with self._changed:
            self._to_raise -= 1
            if self._to_raise >= 0:
                raise RuntimeError("a processor that breaks")
        self._attempt()

    def break_processor(self, times: int = 1) -> None:
        """Let the processor raise for the next messages."""
        self._to_raise = times

    def reject(self, error: MessageRejectedError) -> None:
        """Count a message that is not ours."""
        with self._changed:
            self._rejected += 1

    def stop_server(self) -> None:
        """Stop the server."""
        self._need_server().stop()

    def start_server(self) -> None:
        """Start it again."""
        self._need_server().start()

    def freeze_server(self) -> None:
        """Halt it."""
        self._need_server().freeze()

    def thaw_server(self) -> None:
        """Let it go on."""
        self._need_server().thaw()

    def is_serving(self) -> bool:
        """Return what the worker says of itself."""
        return self._worker is not None and self._worker.is_serving()

    def stop_worker(self) -> None:
        """Let the worker stop; `has_stopped` says when it has."""
        self._stopping.set()

    def has_stopped(self) -> bool:
        """Return whether no worker runs; the next message starts another."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self._worker = self._thread = None
        return True

    def take_ledger_away(self) -> None:
        """Let each claim wait until the ledger is back, or the worker stops."""
        self._is_ledger_there = False

    def bring_ledger_back(self) -> None:
        """Let the processor claim again."""
        with self._changed:
            self._is_ledger_there = True
            self._changed.notify_all()

    def deciding(self) -> int:
        """Return how many messages wait for their claim."""
        return self._deciding

    def hold_attempts(self, first: int | None = None) -> None:
        """Let the attempts that begin from now on, or the first of them, run until `let_go`."""
        self._to_hold, self._lets_go = (sys.maxsize if first is None else first), False

    def let_go(self) -> None:
        """End the attempts that are held."""
        with self._changed:
            self._to_hold, self._lets_go = 0, True
            self._changed.notify_all()

    def running(self) -> int:
        """Return how many attempts run."""
        return self._running

    def most_running(self) -> int:
        """Return how many ran at once at most."""
        return self._most_running

    def finished(self) -> int:
        """Return how many attempts have ended."""
        return self._finished

    def keep_nothing(self) -> None:
        """Count what is delivered from now on, and keep none of it."""
        self._keeps = False

    def close(self) -> None:
        """End the worker; over a server that works, for a dead one would keep it waiting."""
        if self._server is not None and self._server.is_running:
            self._server.thaw()
        elif self._server is not None:
            self._server.start()
        self.stop_worker()
        self.let_go()
        eventually(self.has_stopped, "the worker has ended")
        self._caller.close()

    def _start(self) -> None:
        if self._thread is None or self.has_stopped():
            self._stopping = threading.Event()
            self._worker = self.build_worker()
            self._thread = threading.Thread(
                target=self._worker.run, args=(self._stopping,), daemon=True
            )
            self._thread.start()

    def _decide(self, wire: object) -> bool:
        """Claim; False where the ledger is away until the worker stops."""
        with self._changed:
            self._deciding += 1
            while not self._is_ledger_there and not self._stopping.is_set():
                self._changed.wait(0.05)
            self._deciding -= 1
            if not self._is_ledger_there:
                return False
        if not self._claims(wire):
            return False
        with self._changed:
            if self._keeps:
                self._got.append(wire)
            self._changed.notify_all()
        return True

    def _claims(self, wire: object) -> bool:
        """Record the claim, for a bench that has a ledger; return whether it holds."""
        return True

    def _attempt(self) -> None:
        with self._changed:
            self._running += 1
            self._most_running = max(self._running, self._most_running)
            if self._to_hold > 0:
                self._to_hold -= 1
                self._changed.wait_for(lambda: self._lets_go)
            self._running -= 1
            self._finished += 1

    def _need_server(self) -> Server:
        assert self._server is not None, "expected a bench with a server, got one without"  # noqa: S101
        return self._server


class PluginBench(Bench):
    """A bench of an engine that is plugged in; `WorkerBench` but for `foreign` and `plant`.

    Args:
        plugin: The engine.
        server: Its server. Where it does not run, the bench starts it, and stops it at its end.
        offers: The engine's offers in a ledger, for one that has no broker.
        settings: The engine's settings, with which it finds the server.

    Attributes:
        site: The engine with its settings.
        name: The name of the bench's queue on the server.
    """

    def __init__(
        self,
        plugin: EnginePlugin[Any],
        server: Server,
        offers: WaitingOffers | None = None,
        **settings: Any,
    ) -> None:
        for logger, level in plugin.loggers.items():
            # As in a worker process: a test keeps each line that is logged.
            logging.getLogger(logger).setLevel(level)
        self._plugin = plugin
        self.settings: Mapping[str, Any] = settings
        self.site: EngineSite[Any] = site_of(plugin, settings, offers)
        self._owns_server = not server.is_running
        if self._owns_server:
            server.start()
        engine = plugin.build(self.site)
        super().__init__(engine.adapter, engine.caller, server)
        self.name: str = self.site.queue_name(self.queue)

    def build_worker(self) -> EngineWorker:
        """Return the engine's worker for the bench's queue."""
        return self._plugin.build_worker(self.site, post_of(self.process, self.reject))

    def claim_and_die(self) -> None:
        """Let a worker in a process of its own claim one message; then kill it."""
        kind = type(self._plugin)
        place, settings = f"{kind.__module__}:{kind.__qualname__}", json.dumps(self.settings)
        command = (sys.executable, "-m", "failsoft.testing.engine_kit.hanging_worker")
        with subprocess.Popen(  # noqa: S603 - a module of ours
            (*command, place, settings, str(os.getpid())),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None  # noqa: S101 - as it was started
                said = process.stdout.readline().strip()
                assert said == "claimed", f"expected a worker that claims, got {said!r}"  # noqa: S101
                eventually(self._is_acknowledged, "what was claimed is acknowledged")
            finally:
                process.kill()

    def close(self) -> None:
        """End the worker, and the server where the bench started it."""
        super().close()
        if self._owns_server:
            self._need_server().stop()

    def _is_acknowledged(self) -> bool:
        deadline = Deadline.after(SystemClock(), PROBE)
        return not self.engine.probe(self.queue, deadline).backlog
