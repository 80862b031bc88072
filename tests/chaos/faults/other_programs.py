"""What befalls a SQLite ledger from other programs that have its file open."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from random import Random

from tests.chaos.faults.nemesis import Nemesis
from tests.chaos.system.topology import ROOT, Topology
from tests.servers.processes import Process

LANE = "strangers"


class OtherPrograms:
    """Programs with connections of their own."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._numbers = count()

    def all(self) -> Sequence[Nemesis]:
        if self._topology.servers.postgres is not None:
            return []
        return [Nemesis("sqlite: a stranger's connections", LANE, self._stranger, 0.5, 4)]

    @contextmanager
    def _stranger(self, rng: Random) -> Iterator[str]:
        file = str(self._topology.servers.database.url.database)
        command = (sys.executable, "-m", "tests.chaos.faults.other_program", file)
        log = self._topology.folder / f"stranger-{next(self._numbers)}.log"
        # Killed at the end: in the middle of whatever it does.
        with Process(*command, log=log, env={"PYTHONPATH": str(ROOT)}) as process:
            yield f"process {process.pid}"
            assert process.is_running, f"expected a stranger at work, got:\n{process.tail}"
