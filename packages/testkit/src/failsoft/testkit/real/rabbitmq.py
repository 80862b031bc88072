"""A RabbitMQ node inside a folder, started from the programs that the system has."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

from failsoft.dispatcher.plugins.embedded_process import (
    EmbeddedProcess,
    EmbeddedServerError,
    free_port,
)

#: The engine of the kit that is Dramatiq on RabbitMQ.
ENGINE = "dramatiq-rabbitmq"

#: How long a node may take to start: Erlang's machine, and its data after it was killed.
_START_TIMEOUT = timedelta(minutes=2)
#: Where packages put the program, the newest version first; RABBITMQ_SERVER names another place.
_PLACES = (
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    "opt/rabbitmq/sbin/rabbitmq-server",
)


class RabbitMQ:
    """A node with a name, ports, a cookie and folders of its own, on 127.0.0.1.

    Attributes:
        url: The address for `FAILSOFT_AMQP_URL`.
    """

    def __init__(self, folder: Path) -> None:
        """Choose ports; nothing is started.

        Args:
            folder: Its files; made by `start`.
        """
        port, self._names_port, self._nodes_port = free_port(), free_port(), free_port()
        self._folder = folder.resolve()
        self._port = port
        self.url: str = f"amqp://guest:guest@127.0.0.1:{port}/%2F"
        # Nodes find each other by a server of names. The node would start one that outlives it.
        self._names = EmbeddedProcess(
            ["env", f"ERL_EPMD_PORT={self._names_port}", "ERL_EPMD_ADDRESS=127.0.0.1", "epmd"],
            folder.resolve(),
            self._names_port,
            "",
        )
        self._node: EmbeddedProcess | None = None

    @property
    def is_running(self) -> bool:
        """Whether its process runs, or is stopped by SIGSTOP."""
        return self._node is not None and self._node.is_running

    @property
    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        return None if self._node is None else self._node.pid

    def start(self) -> None:
        """Start it unless it runs, and wait until it takes clients.

        Raises:
            EmbeddedServerError: No RabbitMQ is installed, or it did not start; with its log.
        """
        if self.is_running:
            return
        program = _program()
        self._write_files()
        if not self._names.is_running:
            self._names.start()
        settings = [f"{name}={value}" for name, value in self._settings().items()]
        command = ["env", *settings, str(program)]
        self._node = EmbeddedProcess(
            command, self._folder, self._port, self.url, start_within=_START_TIMEOUT
        )
        self._node.start()

    def stop(self) -> None:
        """Stop it."""
        if self._node is not None:
            self._node.stop()
        self._names.stop()

    def kill(self) -> None:
        """End it by SIGKILL; what it confirmed is there when it starts again."""
        if self._node is not None:
            self._node.kill()

    def _write_files(self) -> None:
        home = self._folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text("failsoft-testkit")
            cookie.chmod(0o400)
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\n"
            "distribution.listener.interface = 127.0.0.1\n"
            "log.console = true\nlog.file = false\n"
        )

    def _settings(self) -> dict[str, str]:
        folder = self._folder
        return {
            "HOME": f"{folder / 'home'}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder / 'none.config'}",
            "RABBITMQ_CONFIG_FILE": f"{folder / 'rabbitmq.conf'}",
            "RABBITMQ_CONF_ENV_FILE": f"{folder / 'none.conf'}",
            "RABBITMQ_DIST_PORT": str(self._nodes_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder / 'enabled_plugins'}",
            "RABBITMQ_LOG_BASE": f"{folder / 'log'}",
            "RABBITMQ_MNESIA_BASE": f"{folder / 'data'}",
            "RABBITMQ_NODENAME": f"failsoft-{self._port}@localhost",
            # The script replaces itself with the node instead of watching over it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def _program() -> Path:
    chosen = os.environ.get("RABBITMQ_SERVER")
    found = [Path(chosen)] if chosen else [each for place in _PLACES for each in _matching(place)]
    if not found or shutil.which("epmd") is None:
        raise EmbeddedServerError(
            f"expected an installed RabbitMQ for the engine {ENGINE}, got none; install the "
            "package rabbitmq-server, let RABBITMQ_SERVER be the path of its program, or name "
            "other engines in the marker: engines=(...)"
        )
    return found[0]


def _matching(place: str) -> list[Path]:
    return sorted(Path("/").glob(place), reverse=True)
