"""The embedded Valkey with the faults that tests inject: by signals and through a client."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from failsoft.queue.embedded_valkey import EmbeddedValkey

NO_CONFIG: Mapping[str, str] = MappingProxyType({})


class Valkey(EmbeddedValkey):
    """`DEBUG` is allowed, for `DEBUG SLEEP` and the like."""

    def __init__(
        self, folder: Path, *, port: int | None = None, config: Mapping[str, str] = NO_CONFIG
    ) -> None:
        super().__init__(folder, port=port, config={"enable-debug-command": "local", **config})

    @property
    def pid(self) -> int:
        return self.running_process().pid

    def restart(self) -> None:
        """Stop the server and start it again on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the server by SIGSTOP: connections are still accepted, and nothing is answered."""
        process = self.running_process()
        process.send_signal(signal.SIGSTOP)
        # The signal may not have arrived yet when send_signal returns.
        os.waitpid(process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self.running_process().send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Delete every key."""
        with self.client() as client:
            client.flushall()

    def command(self, *words: str | int) -> Any:
        """Run any command."""
        with self.client() as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py's

    def keys(self) -> set[str]:
        return {key.decode() for key in self.command("KEYS", "*")}

    def config_set(self, name: str, value: str | int) -> None:
        self.command("CONFIG", "SET", name, value)

    def out_of_memory(self, on: bool) -> None:
        """Refuse writes with OOM, or take them again."""
        self.config_set("maxmemory", 1 if on else 0)

    def pause_writes(self, milliseconds: int) -> None:
        """Answer reads and let writes hang for so long."""
        self.command("CLIENT", "PAUSE", milliseconds, "WRITE")

    def replica_of(self, primary: "EmbeddedValkey") -> None:
        """Become a read-only replica, as a demoted primary does."""
        self.command("REPLICAOF", "127.0.0.1", primary.port)

    def replica_of_nobody(self) -> None:
        self.command("REPLICAOF", "NO", "ONE")

    def close_all_connections(self) -> None:
        self.command("CLIENT", "KILL", "TYPE", "normal")
        self.command("CLIENT", "KILL", "TYPE", "pubsub")
