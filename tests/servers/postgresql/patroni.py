"""A PostgreSQL cluster that fails over by itself: three Patroni nodes and three of etcd.

Each is on a host of its own (`tests.servers.network`). The programs are Debian's; the settings are
those of `docs/how-to/postgresql-cluster.md`, in more haste.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg

from tests.servers.clusters.node import NODES, N, Node
from tests.servers.network import Network
from tests.servers.postgresql.postgres import unprivileged_user
from tests.servers.processes import PATIENCE, wait_until

MISSING = "expected Patroni, etcd and PostgreSQL, got not all; run: tests/servers/install cluster"
CLIENTS, PEERS, REST, SQL = 2379, 2380, 8008, 5432
#: How long a leader that is not heard of stays the leader, in seconds; 30 in production.
TTL = 8
DYNAMIC: Mapping[str, Any] = {
    "ttl": TTL,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 1_048_576,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {"max_connections": 100, "shared_buffers": "32MB", "wal_log_hints": "on"},
    },
}
TRUST = (
    "local all all trust",
    "host all all 0.0.0.0/0 trust",
    "host replication all 0.0.0.0/0 trust",
)


def programs() -> Path | None:
    """Return the folder of the system's PostgreSQL, which Debian's Patroni can lead."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    there = all(Path("/usr/bin", name).exists() for name in ("patroni", "etcd"))
    return found[-1].parent if found and there else None


class Etcd(Node):
    """One member of the store in which the cluster's leader is written down."""

    def start(self, members: Sequence["Etcd"]) -> None:
        """Join the others; all must be given the same."""
        if self.is_running:
            return
        peers, clients = self._at(PEERS), self._at(CLIENTS)
        options = {
            "name": self.host.name,
            "data-dir": self.folder / "data",
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "initial-cluster": ",".join(f"{m.host.name}={m._at(PEERS)}" for m in members),
        }
        self._run("etcd", *(f"--{name}={value}" for name, value in options.items()))

    def _at(self, port: int) -> str:
        return f"http://{self.host.address}:{port}"


class Member(Node):
    """One PostgreSQL and the Patroni that starts, promotes and demotes it."""

    def start(self, etcds: Sequence[Etcd], bin_dir: Path, *, synchronous: bool) -> None:
        """Become a member of the cluster, or the first of it."""
        if self.is_running:
            return
        file = self.folder / "patroni.json"  # which YAML takes, too
        file.write_text(json.dumps(self._settings(etcds, bin_dir, synchronous=synchronous)))
        self._run("patroni", file)

    def state(self) -> Mapping[str, Any]:
        """What Patroni says of this node; nothing if it does not answer."""
        return self.ask("/patroni")

    def ask(self, path: str, body: object = None) -> Mapping[str, Any]:
        """Call Patroni's REST interface; nothing if it does not answer."""
        url = f"http://{self.host.address}:{REST}{path}"
        try:
            reply = httpx.get(url) if body is None else httpx.post(url, json=body, timeout=PATIENCE)
        except httpx.TransportError:
            return {}
        # Patroni answers requests in JSON, and orders in plain words.
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        return reply.json() if is_json else {"text": reply.text}

    @property
    def takes_writes(self) -> bool:
        state = self.state()
        return state.get("role") in ("master", "primary") and state.get("state") == "running"

    def dsn(self, **options: str) -> str:
        """The address of this node as libpq takes it."""
        words = {"host": self.host.address, "port": str(SQL), "user": "postgres", **options}
        return " ".join(f"{name}={value}" for name, value in words.items())

    def _settings(self, etcds: Sequence[Etcd], bin_dir: Path, *, synchronous: bool) -> Any:
        address = self.host.address
        secret = {"password": "not-needed-here"}
        return {
            "scope": "failsoft",
            "name": self.host.name,
            "restapi": {"listen": f"{address}:{REST}", "connect_address": f"{address}:{REST}"},
            "etcd3": {"hosts": [f"{each.host.address}:{CLIENTS}" for each in etcds]},
            "bootstrap": {
                "dcs": {**DYNAMIC, "synchronous_mode": synchronous},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
                "pg_hba": TRUST,
            },
            "postgresql": {
                "listen": f"{address}:{SQL}",
                "connect_address": f"{address}:{SQL}",
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(bin_dir),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", **secret},
                    "replication": {"username": "replicator", **secret},
                },
                "parameters": {"unix_socket_directories": ""},
            },
        }


class PatroniCluster:
    """Three members and three of etcd; a context manager starts and ends them.

    Args:
        folder: Where data and logs go; `nobody` must be able to reach it.
        synchronous: Whether what is committed is on two members (`synchronous_mode`).
    """

    def __init__(self, folder: Path, *, synchronous: bool) -> None:
        self._folder = folder
        self.synchronous = synchronous
        self._stack = ExitStack()
        self.etcds: Sequence[Etcd] = ()
        self.members: Sequence[Member] = ()

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy address of a database on whichever member takes writes."""
        hosts = "&".join(f"host={each.host.address}:{SQL}" for each in self.members)
        return f"postgresql+psycopg://postgres@/{database}?{hosts}&target_session_attrs=read-write"

    @property
    def leader(self) -> Member | None:
        """The member that takes writes, as far as the members say so themselves."""
        return next((each for each in self.members if each.takes_writes), None)

    def wait_for_leader(self, *, but: Member | None = None) -> Member:
        """Wait until a member takes writes, another one than before where one is named."""

        def found() -> Member | None:
            others = (each for each in self.members if each is not but)
            return next((each for each in others if each.takes_writes), None)

        leader = wait_until(found, PATIENCE, "a member that takes writes")
        assert leader is not None
        return leader

    def wait_until_whole(self) -> None:
        """Wait until a leader has two replicas that stream, one of them synchronous if wanted."""

        def is_whole() -> bool:
            leader = self.leader
            if leader is None:
                return False
            streaming = leader.state().get("replication", [])
            in_step = [each for each in streaming if each["state"] == "streaming"]
            # Written down in etcd, which is later: only such a replica may become the leader.
            roles = [each["role"] for each in leader.ask("/cluster").get("members", [])]
            is_safe = "sync_standby" in roles or not self.synchronous
            return len(in_step) == NODES - 1 and is_safe

        wait_until(is_whole, 2 * PATIENCE, "a leader with two replicas")

    def switch_over(self) -> Member:
        """Let another member lead, in order, and return it."""
        before = self.wait_for_leader()
        reported = before.ask("/switchover", {"leader": before.host.name})
        assert "Successfully" in reported["text"], reported
        return self.wait_for_leader(but=before)

    def heal(self) -> None:
        """Connect and start everything, and wait until all of it is at work."""
        for node in (*self.etcds, *self.members):
            node.host.connect()
        self._start()
        self.wait_until_whole()

    def create_database(self, name: str) -> str:
        """Make a database on every member, and return its address."""
        leader = self.wait_for_leader()
        with psycopg.connect(leader.dsn(dbname="postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def _start(self) -> None:
        bin_dir = programs()
        assert bin_dir is not None, MISSING
        for etcd in self.etcds:
            etcd.start(self.etcds)
        for member in self.members:
            member.start(self.etcds, bin_dir, synchronous=self.synchronous)

    def __enter__(self) -> Self:
        with self._stack:
            network = self._stack.enter_context(Network())
            self._folder.chmod(0o711)
            numbers = range(1, NODES + 1)
            self.etcds = [self._node(Etcd, network, f"etcd-{n}") for n in numbers]
            self.members = [self._node(Member, network, f"node-{n}") for n in numbers]
            self._start()
            self.wait_until_whole()
            self._stack = self._stack.pop_all()
        return self

    def _node(self, kind: type[N], network: Network, name: str) -> N:
        node = kind(network.add(name), self._folder / name, unprivileged_user())
        self._stack.callback(node.kill)
        return node

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
