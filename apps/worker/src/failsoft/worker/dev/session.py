"""One run of `failsoft dev`: workers, restarted when code changes, until a signal."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from failsoft.job_engine.errors import LedgerError
from failsoft.ledger import SqlLedger
from failsoft.ledger.opening import shared_database
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.dev.watcher import CodeWatcher
from failsoft.worker.exit_codes import OK
from failsoft.worker.processes.signals import on_stop_signals
from failsoft.worker.supervision.bridge import has_bridge
from failsoft.worker.supervision.death_notice import record_of
from failsoft.worker.supervision.posts import BRIDGE, label_of
from failsoft.worker.supervision.supervisor import Supervisor
from failsoft.worker.supervision.template import WorkerTemplate, start
from failsoft.worker.wiring import death_notices

logger: logging.Logger = logging.getLogger("failsoft.dev")

#: How long a worker may take to stop, unless it is set: short, because a developer waits for it.
GRACE = timedelta(seconds=2)
#: How often everything is checked, in seconds.
LOOK_SECONDS = 0.1

_PREFLIGHT = (sys.executable, "-m", "failsoft.worker.preflight")

#: Called once when every worker is live, with their process ids by post.
Ready = Callable[[Mapping[str, int]], None]


class DevSession:
    """Runs workers of each engine for every queue, and restarts them when code changes.

    Where all queues are served, the bridges of the engines that have one run besides.

    The code is imported only by the workers, so an error in it does not end this process.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        queues: Sequence[str],
        *,
        watch: Sequence[Path],
        ready: Ready,
        template: WorkerTemplate | None = None,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            settings: The settings of this process's environment.
            environment: Variables that are added to the environment of the workers.
            queues: The queues to serve; all declared ones where empty.
            watch: The folders whose code is watched; empty for none.
            ready: Called when the first workers are live.
            template: What workers are forked from, until the code of an engine's plug-in changes.
        """
        has_grace = "shutdown_grace" in settings.model_fields_set
        self._grace = settings.shutdown_grace if has_grace else GRACE
        grace = {"FAILSOFT_SHUTDOWN_GRACE": f"{self._grace.total_seconds():g}s"}
        self._environment = {**os.environ, **grace, **environment}
        self._ledger_url = environment.get("FAILSOFT_LEDGER_URL", settings.ledger_url)
        self._deaths = death_notices(settings.model_copy(update={"ledger_url": self._ledger_url}))
        self._engines = settings.offered_engines
        bridged = [] if queues else [each for each in self._engines if has_bridge(settings, each)]
        self._bridges: Sequence[tuple[str, str]] = [(each, BRIDGE) for each in bridged]
        self._queues = queues
        self._watcher = CodeWatcher(watch, self._code_changed) if watch else None
        self._ready: Ready | None = ready
        self._template = template
        self._is_template_old = False
        self._on_change: Callable[[], None] = lambda: None
        self._supervisor: Supervisor | None = None
        # Plain values, because a signal handler sets them.
        self._stops = 0
        self._changed = False

    def run(self) -> int:
        """Run until a signal; return the exit status.

        If the code cannot be started at first, it ends; after a change it waits for the next one.
        """
        if self._watcher is not None:
            self._watcher.start()
        status = self._run_generation()
        while self._changed and not self._stops:
            self._on_change()
            status = self._run_generation()
            if status != OK:
                self._wait_for_change()
        if self._watcher is not None:
            self._watcher.stop()
        if self._template is not None:
            self._template.close()
        return OK if self._stops else status

    def on_signals(self) -> None:
        """Stop on SIGTERM or SIGINT, at once on the second."""

        def stop() -> None:
            self._stops += 1
            if self._supervisor is not None:
                self._supervisor.stop()

        on_stop_signals(stop)

    def on_change(self, restart: Callable[[], None]) -> None:
        """Call a function whenever code has changed, before the workers start again."""
        self._on_change = restart

    def _run_generation(self) -> int:
        self._changed = False
        self._await_template()
        status, queues = self._preflight()
        if status != OK:
            return status
        workers = [(engine, queue) for engine in self._engines for queue in queues]
        supervisor = self._supervisor = Supervisor(
            [*workers, *self._bridges],
            self._grace,
            self._environment,
            on_death=lambda dead: self._deaths.note(record_of(dead)),
            template=self._template,
        )
        if self._is_over:
            # A signal or a change came before the supervisor existed.
            supervisor.stop()
        over = threading.Event()
        threading.Thread(target=self._call_ready, args=(supervisor, over), daemon=True).start()
        status = supervisor.run()
        over.set()
        self._supervisor = None
        return status

    @property
    def _is_over(self) -> bool:
        return self._stops > 0 or self._changed

    def _await_template(self) -> None:
        if self._template is None:
            return
        if self._is_template_old:
            self._template.close()
        while self._template.is_loading and not self._is_over:
            time.sleep(LOOK_SECONDS / 4)

    def _preflight(self) -> tuple[int, Sequence[str]]:
        answer, to = os.pipe()
        words = [*self._queues, "--parent", str(os.getpid())]
        with open(answer, "rb") as queues:  # noqa: PTH123 - a descriptor
            try:
                process = start(
                    self._template,
                    _PREFLIGHT,
                    words,
                    environment=self._environment,
                    handed={"--to": to},
                )
            finally:
                os.close(to)
            while (status := process.poll()) is None:
                if self._is_over:
                    process.kill()
                time.sleep(LOOK_SECONDS / 4)
            return status, json.loads(queues.read()) if status == OK else ()

    def _code_changed(self, paths: Sequence[str]) -> None:
        if not self._changed:
            logger.info("%s changed; the workers start again", ", ".join(map(_shortened, paths)))
            # What the template has loaded, this process has loaded with its settings.
            files = {getattr(each, "__file__", None) for each in tuple(sys.modules.values())}
            self._is_template_old |= not files.isdisjoint(paths)
            self._changed = True
            if self._supervisor is not None:
                self._supervisor.stop()

    def _wait_for_change(self) -> None:
        if not self._is_over:
            logger.warning("no worker could be started; waiting for the code to change")
        while not self._is_over:
            time.sleep(LOOK_SECONDS)

    def _call_ready(self, supervisor: Supervisor, over: threading.Event) -> None:
        bridges = {label_of(each) for each in self._bridges}
        with closing(shared_database(self._ledger_url)) as database:
            ledger = SqlLedger(database)
            while self._ready is not None and not over.wait(LOOK_SECONDS):
                pids = supervisor.pids()
                # A bridge serves no queue, so the ledger has no worker of it.
                workers = {pid for label, pid in pids.items() if label not in bridges}
                if len(pids) == len(supervisor.posts) and workers <= _live(ledger):
                    self._ready(pids)
                    self._ready = None


def _live(ledger: SqlLedger) -> set[int]:
    try:
        return {worker.pid for worker in ledger.live_workers()}
    except LedgerError:
        return set()


def _shortened(path: str) -> str:
    found = Path(path)
    return str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found)
