"""Three nodes of RabbitMQ that keep quorum queues, each on a host of its own.

The settings are those of `docs/how-to/rabbitmq.md`, in more haste.
"""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Self

from tests.servers.clusters.node import NODES, Node, three
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.rabbitmq import COOKIE, FRUGAL, scripts, serves

AMQP, DISTRIBUTION = 5672, 25672
#: After how many seconds of silence a node is taken for lost; 60 in production.
TICK_TIME = 5
#: Three Erlang machines start at once.
BOOT = 3 * PATIENCE
WHOLE = "three nodes of RabbitMQ that serve together"
RUNNING = "length(rabbit_nodes:all_running())."
LEADER = (
    'case rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{}">>)) of'
    " {{ok, Queue}} -> element(2, amqqueue:get_pid(Queue)); _ -> none end."
)


class RabbitmqNode(Node):
    """One node, known to the others by its address."""

    @property
    def name(self) -> str:
        return f"rabbit@{self.host.address}"

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.host.address}:{AMQP}/%2F"

    @property
    def serves(self) -> bool:
        """Whether it takes clients: one without a majority takes none."""
        return serves(self.host.address, AMQP)

    def start(self, members: Sequence[Self]) -> None:
        """Join the others; all must be given the same."""
        if self.is_running:
            return
        self._write_files(members)
        self._run(scripts() / "rabbitmq-server", env=self._environment())

    def evaluate(self, expression: str) -> str:
        """Evaluate Erlang in the node; empty if it does not answer."""
        command = self.host.command("erl_call", "-name", self.name, "-c", COOKIE, "-e")
        done = subprocess.run(
            command,
            input=f"{expression}\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout.strip().removeprefix("{ok, ").removesuffix("}").strip(" '")

    def _write_files(self, members: Sequence[Self]) -> None:
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(COOKIE)
            cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[].\n")
        nodes = (
            f"cluster_formation.classic_config.nodes.{number} = {member.name}"
            for number, member in enumerate(members, 1)
        )
        lines = (
            f"listeners.tcp.1 = {self.host.address}:{AMQP}",
            "loopback_users = none",
            "cluster_formation.peer_discovery_backend = classic_config",
            *nodes,
            "cluster_partition_handling = pause_minority",
            f"net_ticktime = {TICK_TIME}",
            "raft.wal_max_size_bytes = 16000000",
            "log.console = true",
            "log.file = false",
        )
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def _environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none.config"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_DIST_PORT": str(DISTRIBUTION),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": FRUGAL,
            "RABBITMQ_USE_LONGNAME": "true",
            # Makes the script replace itself with the node instead of watching over it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


class RabbitmqCluster:
    """Three nodes; one that has no majority pauses."""

    def __init__(self, nodes: Sequence[RabbitmqNode]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """The address of all nodes, which are tried in turn."""
        return ";".join(each.url for each in self.nodes)

    def leader(self, queue: str) -> RabbitmqNode | None:
        """Return the node that leads a quorum queue, as far as the nodes that serve know."""
        said = [each.evaluate(LEADER.format(queue)) for each in self.nodes if each.serves]
        return next((each for each in self.nodes if each.name in said), None)

    def wait_for_leader(self, queue: str, *, but: RabbitmqNode | None = None) -> RabbitmqNode:
        """Wait until a node leads a queue, another one than before where one is named."""

        def found() -> RabbitmqNode | None:
            leader = self.leader(queue)
            return None if leader is but else leader

        leader = wait_until(found, PATIENCE, f"a leader of {queue}")
        assert leader is not None
        return leader

    def wait_until_paused(self, *nodes: RabbitmqNode) -> None:
        """Wait until nodes take no clients."""
        paused = "the nodes without a majority have paused"
        wait_until(lambda: not any(each.serves for each in nodes), PATIENCE, paused)

    def heal(self) -> None:
        """Connect and start every node, and wait until all of them serve together.

        A node whose network was away may stay apart from then on: RabbitMQ 3.10 on Erlang 25.2
        does. It is started again then, as an operator is told to do (docs/how-to/rabbitmq.md).
        """
        apart = [node for node in self.nodes if node.host.is_apart]
        for node in self.nodes:
            node.host.connect()
        self._start()
        if apart and not self._becomes_whole():
            for node in apart:
                node.kill()
            self._start()
        wait_until(self._is_whole, BOOT, WHOLE)

    def _start(self) -> None:
        for node in self.nodes:
            node.start(self.nodes)

    def _becomes_whole(self) -> bool:
        ends = monotonic() + PATIENCE
        wait_until(lambda: self._is_whole() or monotonic() > ends, BOOT, WHOLE)
        return self._is_whole()

    def _is_whole(self) -> bool:
        ended = [each for each in self.nodes if not each.is_running]
        assert not ended, f"RabbitMQ ended; its log ends:\n{ended[0].log.read_text()[-3000:]}"
        return all(each.serves and each.evaluate(RUNNING) == str(NODES) for each in self.nodes)


@contextmanager
def rabbitmq_cluster() -> Iterator[RabbitmqCluster]:
    """Lend a cluster that is whole."""
    with three(RabbitmqNode, "rabbit") as nodes:
        cluster = RabbitmqCluster(nodes)
        cluster.heal()
        yield cluster
