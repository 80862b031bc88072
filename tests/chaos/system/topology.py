"""The system under test: its processes, each behind proxies of its own, and their servers."""

import json
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from random import Random
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Self

from sqlalchemy import make_url

from failsoft.ledger import SqlLedger
from tests.chaos.stalls import STALLS
from tests.chaos.system.brokers import DEFAULT_ENGINES
from tests.chaos.system.dispatcher_process import ORDERS, Orders
from tests.chaos.system.restarted_process import Actor, Freeze
from tests.chaos.system.servers import DATABASE, Servers
from tests.chaos.workload.queues import CHILDREN, THREADS
from tests.deployments.effect_log import ACTOR, ENGINE, FILE
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.proxy import TcpProxy

ROOT = Path(__file__).parents[3]
#: How a line of a log names the worker.
WORKER = re.compile(r'"worker": "([0-9a-f]+)"')
#: Whose children dispatch.
PREFORKING = "dispatcher-2"
#: Who reaches a PostgreSQL ledger by the pooler, besides one worker of each engine.
POOLED = frozenset({"dispatcher-2", "maintenance-2"})
QUEUES = (THREADS.name, CHILDREN.name)
OBSERVED_WORKER = "tests.chaos.system.observed_worker"
#: How long a dozen processes may take to start or to end where others need the machine as well, in
#: seconds.
AT_ONCE = 4 * PATIENCE

#: Everything that is waited for comes sooner than in production.
SHORT_INTERVALS: Mapping[str, str] = MappingProxyType(
    {
        "FAILSOFT_WORKER_BEAT": "400ms",
        "FAILSOFT_WORKER_TTL": "2s",
        "FAILSOFT_MAINTENANCE_EVERY": "300ms",
        "FAILSOFT_PROBE_EVERY": "300ms",
        "FAILSOFT_HEALTHY_PROBES": "2",
        "FAILSOFT_MIN_OPEN": "300ms",
        "FAILSOFT_RAMP": "0s",
        "FAILSOFT_SHUTDOWN_GRACE": "3s",
        "FAILSOFT_LOG_FORMAT": "json",
        "FAILSOFT_JOBS": "tests.chaos.workload.definitions",
        # What is pruned is no evidence, and no worker here serves the job that prunes.
        "FAILSOFT_PRUNE": "off",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "dramatiq_restart_delay": "300",
    }
)


class Topology:
    """Two dispatchers, two workers of each engine, two rescuers, and what they stand on."""

    def __init__(
        self, servers: Servers, seed: str, rate: float, engines: Sequence[str] = DEFAULT_ENGINES
    ) -> None:
        self.servers = servers
        self.engines = tuple(engines)
        self.roles = ("dispatcher", *self.engines, "maintenance")
        self.folder = servers.folder
        self.effect_log = self.folder / "effects.jsonl"
        self.stalls = self.folder / "stalls.jsonl"
        self.started = monotonic()
        self._seed = seed
        self._rate = rate
        self._stack = ExitStack()
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="chaos-keeper", daemon=True)
        self.actors: Sequence[Actor] = [
            self._dispatcher("dispatcher-1", "dispatcher_process"),
            self._dispatcher(PREFORKING, "preforking_dispatcher"),
            *(self._worker(engine, queue) for engine in self.engines for queue in QUEUES),
            *(self._maintenance(f"maintenance-{n}") for n in (1, 2)),
        ]

    @property
    def workers(self) -> list[Actor]:
        return [actor for engine in self.engines for actor in self.of_role(engine)]

    @property
    def freezes(self) -> list[Freeze]:
        return [freeze for actor in self.actors for freeze in actor.freezes]

    @property
    def operation_logs(self) -> list[Path]:
        return [self._operations(actor.name) for actor in self.of_role("dispatcher")]

    def of_role(self, role: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.role == role]

    def any_actor(self, rng: Random) -> Actor:
        """Choose a role first, so that none is spared for being few."""
        return rng.choice(self.of_role(rng.choice(self.roles)))

    @property
    def pooled(self) -> frozenset[str]:
        """The processes that reach the ledger by the pooler; of SQLite, none."""
        if self.servers.pgbouncer is None:
            return frozenset()
        return frozenset(each.name for each in self.actors if self._is_pooled(each.name))

    def worker_names(self) -> Mapping[str, str]:
        """Return the actor of each worker, by what the ledger calls the worker: from the logs."""
        return {
            worker: actor.name
            for actor in self.workers
            if actor.log.exists()
            for worker in WORKER.findall(actor.log.read_text(errors="replace"))
        }

    def start(self) -> None:
        """Start everyone and keep them running; return when all workers serve."""
        self._keeper.start()
        self.wait_for_workers()

    def wait_for_workers(self) -> None:
        wanted = {actor.name: actor for actor in self.workers}
        wait_until(lambda: self._serving() >= len(wanted), AT_ONCE, "workers that live")

    def heal(self) -> None:
        """Undo everything that was done to processes, links and servers."""
        for actor in self.actors:
            actor.thaw()
            actor.skew.set(0)
            for link in actor.links.values():
                link.heal()
        self.servers.heal()

    def end_all(self) -> None:
        """SIGKILL everyone, for good."""
        for actor in self.actors:
            actor.end()

    def retire_dispatchers(self) -> None:
        """Let the dispatchers finish what they have begun, and go."""
        for actor in self.of_role("dispatcher"):
            actor.retire(AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self.end_all()
        self._stack.close()

    def _keep(self) -> None:
        while not self._closing.wait(0.1):
            for actor in self.actors:
                actor.look_after()

    def _serving(self) -> int:
        pids = {a.process.pid for a in self.workers if a.process is not None}
        live = {w.pid for w in SqlLedger(self.servers.database).live_workers()}
        return len(pids & live)

    def _operations(self, name: str) -> Path:
        return self.folder / f"operations-{name}.jsonl"

    def _dispatcher(self, name: str, module: str) -> Actor:
        log = str(self._operations(name))
        orders = asdict(
            Orders(name, "{boot}", self._seed, self._rate, self.started, log, self.engines)
        )
        command = ("-m", f"tests.chaos.system.{module}")
        return self._actor(name, "dispatcher", command, {ORDERS: json.dumps(orders)})

    def _worker(self, engine: str, queue: str) -> Actor:
        command = ("-m", OBSERVED_WORKER, engine, queue)
        return self._actor(_worker_name(engine, queue), engine, command, {ENGINE: engine})

    def _maintenance(self, name: str) -> Actor:
        command = ("-m", OBSERVED_WORKER, "maintenance")
        return self._actor(name, "maintenance", command, {})

    def _actor(self, name: str, role: str, command: Sequence[str], env: Mapping[str, str]) -> Actor:
        links = self._links(name)
        skew = self.servers.skew_of(name)
        variables = {
            ACTOR: name,
            FILE: str(self.effect_log),
            STALLS: str(self.stalls),
            "FAILSOFT_ENGINES": ",".join(self.engines),
            **self._addresses(links),
        }
        environment = {**SHORT_INTERVALS, **skew.environment, **variables, **env}
        log = self.folder / f"{name}.log"
        return Actor(name, role, (sys.executable, *command), environment, log, skew, links)

    def _links(self, name: str) -> Mapping[str, TcpProxy]:
        servers = self.servers
        links = {broker.name: broker.link() for broker in servers.brokers.values()}
        if servers.pgbouncer is not None and self._is_pooled(name):
            links["ledger"] = TcpProxy(servers.pgbouncer.port)
        elif servers.postgres is not None:
            one, other = servers.postgres.primary, servers.postgres.replica
            links |= {"ledger": TcpProxy(one.port), "ledger's replica": TcpProxy(other.port)}
        for link in links.values():
            self._stack.enter_context(closing(link))
        return links

    def _is_pooled(self, name: str) -> bool:
        """Return whether a process reaches the ledger by the pooler: of each kind, some do."""
        queues = (CHILDREN.name, THREADS.name)
        workers = {_worker_name(engine, queues[n % 2]) for n, engine in enumerate(self.engines)}
        return name in POOLED | workers

    def _addresses(self, links: Mapping[str, TcpProxy]) -> Mapping[str, str]:
        ledger = make_url(self.servers.ledger_url)
        hosts = [f"127.0.0.1:{link.port}" for name, link in links.items() if "ledger" in name]
        if len(hosts) > 1:
            ledger = ledger.update_query_dict({"host": hosts})
        elif hosts:
            ledger = make_url(f"postgresql://postgres@{hosts[0]}/{DATABASE}?pooler=transaction")
        settings = {"FAILSOFT_LEDGER_URL": ledger.render_as_string(hide_password=False)}
        for broker in self.servers.brokers.values():
            settings |= broker.settings(links[broker.name].port)
        return settings


def _worker_name(engine: str, queue: str) -> str:
    return f"{engine}-{queue.removeprefix('chaos-')}"
