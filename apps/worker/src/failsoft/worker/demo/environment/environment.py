"""What the demo runs on: two servers, a ledger, a receiver, hosts with workers; all temporary."""

import base64
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.telemetry import Event
from failsoft.ledger import SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.demo.environment.airports import airports_csv
from failsoft.worker.demo.environment.engine_servers import EngineServers, engine_servers
from failsoft.worker.demo.environment.env_settings import demo_settings, only_these_settings
from failsoft.worker.demo.environment.hosts import WorkerHost
from failsoft.worker.demo.environment.receiver import Receiver
from failsoft.worker.demo.environment.signals import UninterruptedStack, interrupted_once
from failsoft.worker.demo.wait_for import wait_for
from failsoft.worker.ledger_access import open_database
from failsoft.worker.wiring import App, build

QUEUES = ("default", "data-sync")

#: How long servers and workers may take to be ready, and to end.
START_PATIENCE = timedelta(seconds=30)
STOP_PATIENCE = timedelta(seconds=12)


class DemoError(FailsoftError):
    """The demo could not be carried out."""


class EventLog:
    """Keeps the events of the demo's own dispatcher."""

    def __init__(self) -> None:
        self._kinds: list[tuple[str, str | None]] = []

    def __call__(self, event: Event) -> None:
        """Keep an event's kind and engine."""
        self._kinds.append((event.kind, event.engine))

    def contains(self, kind: str, engine: str) -> bool:
        """Whether there was such an event of an engine."""
        return (kind, engine) in self._kinds


class Environment:
    """The demo's servers and processes; made by `started_environment`.

    Attributes:
        folder: The temporary folder.
        engines: The names of the two engines: the one that fails, and its fallback.
        servers: Their servers.
        receiver: Where the webhooks go.
        app: Failsoft as an application uses it; it dispatches.
        events: The events of the application's dispatcher.
        first: The host of the first engine's workers.
        successor: The host that replaces it.
        second: The host of the fallback's workers.
    """

    def __init__(
        self, folder: Path, receiver: Receiver, engines: Sequence[str], servers: EngineServers
    ) -> None:
        self.folder = folder
        self.receiver = receiver
        self.engines = engines
        self.servers = servers
        self.events: EventLog = EventLog()
        self.first: WorkerHost = self._host(self.primary, self.primary)
        self.successor: WorkerHost = self._host(self.primary, f"new-{self.primary}")
        self.second: WorkerHost = self._host(self.fallback, self.fallback)
        self.app: App
        self._dead: set[str] = set()

    @property
    def primary(self) -> str:
        """Return the name of the engine that fails."""
        return self.engines[0]

    @property
    def fallback(self) -> str:
        """Return the name of the engine that carries its jobs on."""
        return self.engines[1]

    @property
    def ledger(self) -> SqlLedger:
        """Return the ledger."""
        return self.app.ledger

    @property
    def hosts(self) -> Sequence[WorkerHost]:
        """Return every host."""
        return (self.first, self.successor, self.second)

    @property
    def imported(self) -> Path:
        """Return the database that the import writes to."""
        return self.folder / "imported.db"

    def build_app(self) -> None:
        """Create the ledger, and Failsoft for this process."""
        settings = load_settings(_env_file=None)
        with closing(open_database(settings)) as database:
            upgrade(database)
        self.app = build(settings, self.events)

    def await_workers(self, host: WorkerHost) -> None:
        """Wait until a host that was started serves every queue.

        Raises:
            DemoError: If it does not; with the end of its log.
        """

        def settled() -> bool:
            return not host.is_running or self._serves(host.engine)

        if not wait_for(settled, START_PATIENCE) or not host.is_running:
            tail = "\n".join(host.log.read_text(errors="replace").splitlines()[-15:])
            raise DemoError(
                f"expected {host.engine} workers within {START_PATIENCE.seconds} s, got none; "
                f"the end of their log:\n{tail}"
            )

    def kill_workers(self, host: WorkerHost) -> None:
        """End a host's workers by SIGKILL; their heartbeats stay valid until they expire."""
        host.kill()
        live = self.ledger.live_workers()
        self._dead |= {each.boot_id for each in live if each.engine == host.engine}

    def waiting_in_primary(self) -> int:
        """Count the messages that wait on the first engine's server, as far as it can say."""
        queues = [queue_profile(name) for name in QUEUES]
        return sum(self.app.engines.probe(self.primary, queue).backlog or 0 for queue in queues)

    def trusts_primary(self) -> bool:
        """Whether the application's breaker of the first engine opened and closed again."""
        is_open = self.app.engines.breaker(self.primary).is_open
        return self.events.contains("engine.failed_back", self.primary) and not is_open

    def stop_workers(self) -> None:
        """Stop every host gracefully, all at once."""
        for host in self.hosts:
            host.stop()
        for host in self.hosts:
            host.wait(STOP_PATIENCE)

    def _host(self, engine: str, log: str) -> WorkerHost:
        return WorkerHost(engine, QUEUES, self.folder / f"{log}.log")

    def _serves(self, engine: str) -> bool:
        live = [each for each in self.ledger.live_workers() if each.boot_id not in self._dead]
        return {each.queue for each in live if each.engine == engine}.issuperset(QUEUES)


@contextmanager
def started_environment(engines: Sequence[EngineName]) -> Iterator[Environment]:
    """Start everything but the workers; leave nothing behind, however the demo ends.

    Args:
        engines: The engine that fails, and its fallback.

    Raises:
        FailsoftError: If something could not be started.
    """
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    folder = TemporaryDirectory(prefix="failsoft-", ignore_cleanup_errors=True)
    with interrupted_once() as interruption, UninterruptedStack(interruption) as stack:
        path = Path(stack.enter_context(folder)).resolve()
        own = demo_settings(path, engines=engines, imports=airports_csv().parent, secret=secret)
        stack.enter_context(only_these_settings(own))
        settings = load_settings(_env_file=None)
        servers = engine_servers(settings, path)
        receiver = stack.enter_context(Receiver(secret))
        for server in filter(None, (servers.primary, servers.fallback)):
            server.start()
            stack.callback(server.stop)
        os.environ.update(servers.environment)
        environment = Environment(path, receiver, settings.engine_names, servers)
        environment.build_app()
        for close in (environment.app.close, environment.stop_workers):
            stack.callback(close)
        yield environment
