"""What the demo runs on: two servers, a ledger, a receiver, hosts with workers; all temporary."""

import base64
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from failsoft.dispatcher import Dispatcher, ShardedDispatcher
from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.telemetry import Event
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.demo.environment.airports import airports_csv
from failsoft.worker.demo.environment.engine_servers import EngineServers, engine_servers
from failsoft.worker.demo.environment.env_settings import demo_settings, only_these_settings
from failsoft.worker.demo.environment.hosts import WorkerHost
from failsoft.worker.demo.environment.ledgers import Ledgers
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
        apps: Failsoft as an application uses it, by the name of its ledger; one alone has none.
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
        self.apps: Mapping[str, App] = {}
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
    def ledger(self) -> Ledgers:
        """Return the ledger, or all of them."""
        return Ledgers({name: app.ledger for name, app in self.apps.items()})

    @property
    def dispatcher(self) -> Dispatcher:
        """Return the application's dispatcher."""
        if len(self.apps) == 1:
            return next(iter(self.apps.values())).dispatcher
        return ShardedDispatcher(tuple(self.apps), lambda name: self.apps[name].dispatcher)

    @property
    def hosts(self) -> Sequence[WorkerHost]:
        """Return every host."""
        return (self.first, self.successor, self.second)

    @property
    def imported(self) -> Path:
        """Return the database that the import writes to."""
        return self.folder / "imported.db"

    def build_apps(self) -> None:
        """Create each ledger, and Failsoft for this process."""
        apps: dict[str, App] = {}
        self.apps = apps
        for settings in load_settings(_env_file=None).by_ledger():
            with closing(open_database(settings)) as database:
                upgrade(database)
            apps[settings.ledger_name] = build(settings, self.events)

    def close_apps(self) -> None:
        """Close what `build_apps` has opened."""
        for app in self.apps.values():
            app.close()

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
        return sum(
            app.engines.probe(self.primary, queue).backlog or 0
            for app in self.apps.values()
            for queue in queues
        )

    def kept_by_primary(self) -> int:
        """Count the messages that the first engine's server still has after it was killed."""
        # One that keeps none may have records already that only probes of the others wrote.
        return 0 if self.servers.forgets else self.waiting_in_primary()

    def trusts_primary(self) -> bool:
        """Whether the application's breaker of the first engine opened and closed again."""
        is_open = any(app.engines.breaker(self.primary).is_open for app in self.apps.values())
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
        return all(
            {
                each.queue
                for each in app.ledger.live_workers()
                if each.engine == engine and each.boot_id not in self._dead
            }.issuperset(QUEUES)
            for app in self.apps.values()
        )


@contextmanager
def started_environment(engines: Sequence[EngineName], ledgers: int = 1) -> Iterator[Environment]:
    """Start everything but the workers; leave nothing behind, however the demo ends.

    Args:
        engines: The engine that fails, and its fallback.
        ledgers: How many ledgers the jobs are divided among.

    Raises:
        FailsoftError: If something could not be started.
    """
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    folder = TemporaryDirectory(prefix="failsoft-", ignore_cleanup_errors=True)
    with interrupted_once() as interruption, UninterruptedStack(interruption) as stack:
        path = Path(stack.enter_context(folder)).resolve()
        imports = airports_csv().parent
        own = demo_settings(path, ledgers, engines=engines, imports=imports, secret=secret)
        stack.enter_context(only_these_settings(own))
        settings = load_settings(_env_file=None)
        servers = engine_servers(settings, path)
        receiver = stack.enter_context(Receiver(secret))
        for server in filter(None, (servers.primary, servers.fallback)):
            server.start()
            stack.callback(server.stop)
        os.environ.update(servers.environment)
        environment = Environment(path, receiver, settings.engine_names, servers)
        stack.callback(environment.close_apps)
        environment.build_apps()
        stack.callback(environment.stop_workers)
        yield environment
