"""The task in an application of a team's own, whose workers run it.

    app = Celery("shop", broker="redis://redis:6379/0")
    serve(app)

and `celery -A shop worker --queues celery,failsoft-default`. Each process of the pool is then a
worker of Failsoft's, too, with leases and heartbeats; Celery takes the messages, and acknowledges
each before it runs. `failsoft worker celery` serves the same queues in processes of its own.
"""

import logging
import multiprocessing.process
import threading
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, Protocol

import billiard

from celery import Celery
from celery.result import allow_join_result
from celery.signals import (
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)
from failsoft.engine_api import (
    DEFAULT,
    ConfigurationError,
    Deadline,
    EngineSite,
    Link,
    SystemClock,
    WorkerPost,
    redacted_url,
)
from failsoft.engines.celery.adapter import CeleryEngine
from failsoft.engines.celery.messages import TASK
from failsoft.engines.celery.settings import CelerySettings

logger: logging.Logger = logging.getLogger("failsoft.worker")

# It has no types.
_billiard: Any = billiard

#: How often a process looks whether the broker answers, in seconds.
LOOK_SECONDS = 5.0
#: How long that look may take.
PROBE_TIME = timedelta(seconds=1)
#: How long a task waits for its process to have begun, in seconds.
BEGIN_SECONDS = 60.0
#: Where the worker process for other programs' processes is found.
GROUP = "failsoft.hosted"


class _Hosted(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


class _Host:
    """The engine's part of a hosted worker: it looks at the broker, and holds what tasks call."""

    def __init__(self, app: Celery, engine: str, queue: str) -> None:
        self._app = app
        self._engine = engine
        self._queue = queue
        self._hosted: _Hosted | None = None
        self._forget()

    def process(self, wire: object) -> None:
        """Process a message.

        Raises:
            RuntimeError: This process has not begun; the ledger offers the job again.
        """
        if not self._begun.wait(BEGIN_SECONDS):
            raise RuntimeError(f"expected Failsoft to have begun within {BEGIN_SECONDS:.0f} s")
        with self._changed:
            self._running += 1
        try:
            # A job may do here what it may do elsewhere (CE-12).
            with allow_join_result():
                self._process(wire)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def begin(self) -> None:
        """Begin in this process."""
        self._forget()
        _allow_children()
        (entry,) = entry_points(group=GROUP)
        hosted: _Hosted = entry.load()(self._engine, self._queue, 1, self._build)
        self._hosted = hosted
        hosted.start()

    def end(self) -> None:
        """End in this process."""
        hosted, self._hosted = self._hosted, None
        if hosted is not None:
            hosted.stop()

    def _forget(self) -> None:
        # Nothing of a parent's lives on in its fork.
        self._begun = threading.Event()
        self._changed = threading.Condition()
        self._running = 0
        self._process: Callable[[object], None] = _nothing

    def _build(self, site: EngineSite[CelerySettings], post: WorkerPost) -> "_Look":
        name = site.queue_name(post.queue)
        consumed = set(self._app.amqp.queues.consume_from)
        # A process that was not forked does not know what its parent takes.
        if name not in consumed and _billiard.get_start_method() == "fork":
            raise ConfigurationError(
                f"expected a worker that takes from {name}, got one of "
                f"{', '.join(sorted(consumed))}; add it to --queues, or call serve() in the "
                "application of the workers that have it"
            )
        self._process = post.process
        self._begun.set()
        return _Look(site, post, self._await_end)

    def _await_end(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._running)


class _Look:
    """`EngineWorker` of a process whose messages are taken elsewhere: it looks at the broker."""

    def __init__(
        self,
        site: EngineSite[CelerySettings],
        post: WorkerPost,
        await_end: Callable[[], None],
    ) -> None:
        self._engine = CeleryEngine(site, "celery-hosted")
        self._queue = post.queue
        self._await_end = await_end
        shown = ";".join(map(redacted_url, site.settings.nodes))
        self._link = Link(f"Celery's broker ({shown})")

    def run(self, stopping: threading.Event) -> None:
        """Look until the worker stops; then wait for what runs."""
        while not stopping.is_set():
            deadline = Deadline.after(SystemClock(), PROBE_TIME)
            health = self._engine.probe(self._queue, deadline)
            if health.healthy:
                self._link.answered()
            else:
                self._link.lost(health.detail)
            stopping.wait(LOOK_SECONDS)
        self._engine.disconnect()
        self._await_end()

    def is_serving(self) -> bool:
        """Return whether the broker answered the last time."""
        return self._link.is_up


def _allow_children() -> None:
    """Let a job start children by `multiprocessing`, as it may on every other engine.

    billiard takes the place of `multiprocessing` in its processes: it marks them as daemons, which
    may have no children, and has a key of its own, which is not handed on.
    """
    of_python: Any = multiprocessing.process
    current = of_python.current_process()
    config = current._config  # noqa: SLF001 - there is no other way once it has started
    config["daemon"] = False
    config["authkey"] = of_python.AuthenticationString(bytes(config["authkey"]))


def _nothing(wire: object) -> None:
    """Do nothing."""


def serve(app: Celery, queue: str = DEFAULT.name, engine: str = "celery") -> None:
    """Let the workers of an application run the jobs of a queue.

    With the pool `prefork`, in each of its processes; with `solo`, in the worker's own. Other pools
    run their tasks side by side in one process, which Failsoft would have to end with all of them:
    there it logs an error and serves nothing.

    Args:
        app: The application; its workers take from `failsoft-<queue>`, too.
        queue: The queue.
        engine: The engine's name in `FAILSOFT_ENGINES`.

    Raises:
        ConfigurationError: The application has the task already.
    """
    if TASK in app.tasks:
        raise ConfigurationError(
            f"expected an application without a task {TASK}, got one with it; call serve() once"
        )
    host = _Host(app, engine, queue)

    def process(wire: object) -> None:
        host.process(wire)

    register: Any = app.task(
        name=TASK,
        acks_late=False,
        ignore_result=True,
        max_retries=0,
        rate_limit=None,
        shared=False,
    )
    register(process)
    _connect(host)


def _connect(host: _Host) -> None:
    def begin_in_solo(sender: Any, **kwargs: Any) -> None:
        pool = type(sender.pool).__module__.rpartition(".")[2]
        if pool == "solo":
            host.begin()
        elif pool != "prefork":
            logger.error(
                "expected Celery's pool prefork or solo, got %s; Failsoft serves nothing in this "
                "worker; use one of them, or failsoft worker celery",
                pool,
            )

    def begin(**kwargs: Any) -> None:
        host.begin()

    def end(**kwargs: Any) -> None:
        host.end()

    def end_soon(**kwargs: Any) -> None:
        # Sent in a signal's handler, which may have interrupted the attempt that is waited for.
        threading.Thread(target=host.end, name="failsoft-stop", daemon=True).start()

    # They are looked up weakly otherwise.
    worker_process_init.connect(begin, weak=False)
    worker_process_shutdown.connect(end, weak=False)
    worker_ready.connect(begin_in_solo, weak=False)
    worker_shutting_down.connect(end_soon, weak=False)
