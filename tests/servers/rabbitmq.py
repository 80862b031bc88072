"""A private RabbitMQ node, started from the scripts of the system's package."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pika

from tests.servers.processes import PATIENCE, Process, free_port, wait_until
from tests.servers.server import Server

MISSING = "expected a RabbitMQ server, got none; run: tests/servers/install rabbitmq"
PLACES = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",  # Debian, Fedora
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",  # the official image
)
COOKIE = "failsoft-tests"
#: One scheduler that does not spin: the machine is the tests', too.
FRUGAL = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
NOT_CONNECTED = "erl_call: failed to connect to node"
BOOT_DEADLINE = 2 * PATIENCE
AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
CONNECTION_START = b"\x01"  # the first byte of a method frame

MEMORY_WATERMARK = "vm_memory_monitor:set_vm_memory_high_watermark({})."
DISK_LIMIT = "rabbit_disk_monitor:set_disk_free_limit({})."  # 3.10 takes bytes, but not "999TB"
IS_RAISED = "[x || {{{{resource_limit, {}, _}}, _}} <- rabbit_alarm:get_alarms()] /= []."
CONSUMER_TIMEOUT = (
    "application:set_env(rabbit, consumer_timeout, {}),"
    " application:set_env(rabbit, channel_tick_interval, {})."
)
# A connection may end by itself while it is closed.
CLOSE_ALL = (
    '[catch rabbit_networking:close_connection(P, "tests")'
    " || P <- rabbit_networking:connections()]."
)
ADD_VHOST = (
    'rabbit_vhost:add(<<"{0}">>, <<"tests">>),'
    ' rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{0}">>,'
    ' <<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
)
ADD_USER = 'rabbit_auth_backend_internal:add_user(<<"{}">>, <<"{}">>, <<"tests">>).'
DELETE_USER = 'rabbit_auth_backend_internal:delete_user(<<"{}">>, <<"tests">>).'
PERMIT = (
    'rabbit_auth_backend_internal:set_permissions(<<"{}">>, <<"{}">>,'
    ' <<"{}">>, <<"{}">>, <<"{}">>, <<"tests">>).'
)
SET_POLICY = (
    'rabbit_policy:parse_set(<<"{}">>, <<"{}">>, <<".*">>, <<"{}">>, 0, <<"queues">>, <<"tests">>).'
)
DELETE_VHOST = 'rabbit_vhost:delete(<<"{}">>, <<"tests">>).'


class RabbitMQ(Server):
    """A node with its own name, ports, `epmd`, cookie and folders; on 127.0.0.1 only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "rabbitmq.log"
        self.port, self._dist_port, self._epmd_port = free_port(), free_port(), free_port()
        self.node = f"failsoft-{self.port}@localhost"
        self._scripts = scripts()
        self._epmd: Process | None = None
        self._undo: dict[str, str] = {}

    @property
    def url(self) -> str:
        return self.url_of("%2F")

    def url_of(self, vhost: str) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost}"

    def start(self) -> None:
        if self.is_running:
            return
        self._undo.clear()
        self._write_files()
        self._start_epmd()
        program = self._scripts / "rabbitmq-server"
        self.process = Process(program, log=self.log, env=self._environment())
        wait_until(lambda: self._serves() or not self.is_running, BOOT_DEADLINE, "RabbitMQ serves")
        assert self.is_running, f"RabbitMQ ended; its log ends:\n{self.process.tail}"

    def stop(self) -> None:
        if self.process is not None:
            if self.is_running:
                self.process.thaw()
                self.process.terminate(deadline=30)
            self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd = None

    def heal(self) -> None:
        super().heal()
        while self._undo:
            self.evaluate(self._undo.popitem()[1])

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl`; takes a second or two, for it starts an Erlang machine."""
        return _run(self._scripts / "rabbitmqctl", "-q", *arguments, env=self._environment())

    def evaluate(self, expression: str) -> str:
        """Evaluate Erlang in the node; takes milliseconds where Erlang's `erl_call` is there."""
        quick = shutil.which("erl_call")
        if quick is None:
            return self.ctl("eval", expression).strip()
        command = (quick, "-sname", self.node, "-c", COOKIE, "-e")
        try:
            answer = _run(*command, env=self._environment(), written=f"{expression}\n")
        except AssertionError as error:
            # It gives a busy node less time to answer; nothing was evaluated.
            if NOT_CONNECTED not in str(error):
                raise
            return self.ctl("eval", expression).strip()
        assert answer.startswith("{ok, "), f"expected {{ok, …}} to {expression}, got {answer}"
        return answer.removeprefix("{ok, ").removesuffix("}").strip()

    def memory_alarm(self, on: bool) -> None:
        """Raise or clear the memory alarm: publishers are blocked while it is up."""
        self._change(MEMORY_WATERMARK, new="0.0000001", usual="0.4", on=on)
        self._wait_for_alarm("memory", on=on)

    def disk_alarm(self, on: bool) -> None:
        """Raise or clear the disk alarm: publishers are blocked while it is up."""
        self._change(DISK_LIMIT, new="999000000000000", usual="50000000", on=on)
        self._wait_for_alarm("disk", on=on)

    def consumer_timeout(self, milliseconds: int) -> None:
        """Close channels opened from now on that leave a delivery unacknowledged for so long."""
        self.evaluate(CONSUMER_TIMEOUT.format(milliseconds, max(100, milliseconds // 4)))
        self._undo["consumer timeout"] = CONSUMER_TIMEOUT.format(1_800_000, 60_000)

    def close_all_connections(self) -> None:
        """Close every client's connection from the server's side."""
        self.evaluate(CLOSE_ALL)

    def delete_queue(self, name: str, *, vhost: str = "%2F") -> int:
        """Delete a queue, even with consumers, and return how many messages were lost."""
        with pika.BlockingConnection(pika.URLParameters(self.url_of(vhost))) as connection:
            return int(connection.channel().queue_delete(name).method.message_count)

    def add_vhost(self, name: str) -> str:
        """Make an empty virtual host of which `guest` may do everything; return its address."""
        assert re.fullmatch(r"[\w-]+", name), f"expected letters, digits, _ and -, got {name!r}"
        self.evaluate(ADD_VHOST.format(name))
        return self.url_of(name)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with its queues and connections."""
        self.evaluate(DELETE_VHOST.format(name))

    def add_user(self, name: str, password: str) -> None:
        self.evaluate(ADD_USER.format(name, password))

    def delete_user(self, name: str) -> None:
        self.evaluate(DELETE_USER.format(name))

    def permit(self, user: str, vhost: str, *, configure: str, write: str, read: str) -> None:
        """Let a user do what each pattern matches, and nothing else of it."""
        patterns = [each.replace("\\", "\\\\") for each in (configure, write, read)]
        self.evaluate(PERMIT.format(user, vhost, *patterns))

    def set_policy(self, vhost: str, name: str, definition: str) -> None:
        """Set a policy, in JSON, for all queues of a virtual host."""
        self.evaluate(SET_POLICY.format(vhost, name, definition.replace('"', '\\"')))

    def _change(self, setting: str, *, new: str, usual: str, on: bool) -> None:
        self.evaluate(setting.format(new if on else usual))
        self._undo[setting] = setting.format(usual)

    def _wait_for_alarm(self, source: str, *, on: bool) -> None:
        is_raised = IS_RAISED.format(source)
        expected = str(on).lower()
        wait_until(lambda: self.evaluate(is_raised) == expected, PATIENCE, f"{source} alarm: {on}")

    def _serves(self) -> bool:
        return serves("127.0.0.1", self.port)

    def _start_epmd(self) -> None:
        # The node would start a daemon that outlives it.
        if self._epmd is None or not self._epmd.is_running:
            program = shutil.which("epmd") or "epmd"
            log = self.folder / "epmd.log"
            self._epmd = Process(program, log=log, env=self._environment())

    def _write_files(self) -> None:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(COOKIE)
            cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "distribution.listener.interface = 127.0.0.1\n"
            "log.console = true\nlog.file = false\n"
        )

    def _environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder / "home"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none.config"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": FRUGAL,
            # Makes the script replace itself with the node instead of watching over it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


class Application:
    """RabbitMQ in a node that goes on: clients see it stopped and started, in a tenth of the time.

    Most of the time of a start is its Erlang machine's.
    """

    def __init__(self, node: RabbitMQ) -> None:
        self._node = node
        self.is_running = True

    def stop(self) -> None:
        self._node.evaluate("rabbit:stop().")
        self.is_running = False

    def start(self) -> None:
        # One that comes before the node's own start has quite ended is taken for that, and is none.
        wait_until(self._is_started, PATIENCE, "RabbitMQ is started")
        self.is_running = True

    def freeze(self) -> None:
        self._node.freeze()

    def thaw(self) -> None:
        self._node.thaw()

    def _is_started(self) -> bool:
        return self._node.evaluate("rabbit:start(), rabbit:is_running().") == "true"


def serves(address: str, port: int) -> bool:
    """Tell whether a RabbitMQ takes clients there."""
    try:
        with socket.create_connection((address, port), timeout=1) as client:
            client.sendall(AMQP_HEADER)
            return client.recv(1) == CONNECTION_START
    except OSError:
        return False


def scripts() -> Path:
    """Return the folder of RabbitMQ's programs."""
    chosen = os.environ.get("RABBITMQ_SERVER")
    found = [Path(chosen)] if chosen else [path for place in PLACES for path in _matches(place)]
    assert found, MISSING
    return found[0].parent


def _matches(place: str) -> list[Path]:
    return sorted(Path("/").glob(place.lstrip("/")), reverse=True)


def _run(*command: str | Path, env: Mapping[str, str], written: str = "") -> str:
    done = subprocess.run(
        command,
        input=written,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"expected {command} to succeed, got {done.stdout}{done.stderr}"
    return done.stdout
