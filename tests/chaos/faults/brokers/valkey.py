"""What befalls Valkey: it loses its data, brings back old data, and refuses or keeps silent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from shutil import rmtree

from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.servers.valkey import Valkey

LANE = "valkey"


class ValkeyFaults:
    """The misfortunes of a Valkey."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("valkey: restart from dump", LANE, self._restart_from_dump, 1, 4),
            Nemesis("valkey: restart from append-only file", LANE, self._restart_from_log, 0.2, 2),
            Nemesis("valkey: restart empty", LANE, self._restart_empty, 0.2, 3),
            Nemesis("valkey: flushall", LANE, self._at_once(self._valkey.wipe), 0, 0.2),
            Nemesis("valkey: out of memory", LANE, self._out_of_memory),
            Nemesis("valkey: replica", LANE, self._replica),
            Nemesis("valkey: freeze", LANE, self._freeze),
            Nemesis(
                "valkey: close connections",
                LANE,
                self._at_once(self._valkey.close_all_connections),
                0,
                0.2,
            ),
        ]

    @contextmanager
    def _restart_from_dump(self, rng: Random) -> Iterator[str]:
        """Bring back, at the end, what there was at the beginning."""
        self._valkey.save()
        try:
            yield "a dump, then kill -9"
        finally:
            self._valkey.kill()
            self._valkey.start()
            self._valkey.dump.unlink(missing_ok=True)

    @contextmanager
    def _restart_from_log(self, rng: Random) -> Iterator[str]:
        self._valkey.config_set("appendonly", "yes")
        try:
            yield "appendonly yes, then kill -9"
        finally:
            self._valkey.kill()
            self._valkey.config["appendonly"] = "yes"
            self._valkey.start()
            self._valkey.config["appendonly"] = "no"
            self._valkey.config_set("appendonly", "no")
            self._forget_log()

    @contextmanager
    def _restart_empty(self, rng: Random) -> Iterator[str]:
        self._valkey.kill()
        try:
            yield "kill -9, and nothing on disk"
        finally:
            self._valkey.start()

    @contextmanager
    def _out_of_memory(self, rng: Random) -> Iterator[str]:
        self._valkey.out_of_memory(on=True)
        try:
            yield "maxmemory 1"
        finally:
            self._valkey.out_of_memory(on=False)

    @contextmanager
    def _replica(self, rng: Random) -> Iterator[str]:
        # Of itself, which never answers as a primary: its own data stay, and writes are refused.
        self._valkey.replica_of(self._valkey)
        try:
            yield "read-only"
        finally:
            self._valkey.replica_of_nobody()

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str]:
        self._valkey.freeze()
        try:
            yield "SIGSTOP"
        finally:
            self._valkey.thaw()

    def _at_once(self, do: Callable[[], None]) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str]:
            do()
            yield do.__name__

        return strike

    def _forget_log(self) -> None:
        folder: Path = self._valkey.folder / "appendonlydir"
        rmtree(folder, ignore_errors=True)
        self._valkey.dump.unlink(missing_ok=True)
