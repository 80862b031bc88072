"""What people do meanwhile: they look at the ledger by commands, and end some of these early."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

from failsoft.worker import exit_codes
from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.topology import AT_ONCE, Topology
from tests.servers.processes import Process

LANE = "commands"
#: How long a command runs at most that is ended early, in seconds; most of it is Python's start.
EARLY = 3.0
#: The pause after a command: starting one takes as much of a CPU as all the jobs meanwhile.
QUIET = (3.0, 8.0)
LEDGER_AWAY = frozenset({exit_codes.UNAVAILABLE, exit_codes.TRY_AGAIN})
#: How each command may end; `doctor` finds fault with a system that is being broken.
COMMANDS: Mapping[str, frozenset[int]] = {
    "jobs list": LEDGER_AWAY | {exit_codes.OK},
    "ledger verify": LEDGER_AWAY | {exit_codes.OK},
    "doctor": LEDGER_AWAY | {exit_codes.OK, exit_codes.FAILURE, exit_codes.CONFIG},
}

#: Ends a command, and returns how; None if it had ended before.
End = Callable[[Process, str, Random], str | None]


class CommandsFaults:
    """The commands of people, as a process beside those of the topology."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._numbers = count()

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis(f"command: {words}", LANE, self._run(words, self._wait), *QUIET)
            for words in COMMANDS
        ] + [
            Nemesis(f"command: {words}, killed", LANE, self._run(words, self._kill), *QUIET)
            for words in COMMANDS
        ]

    def _run(self, words: str, end: End) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str | None]:
            environment = self._topology.any_actor(rng).environment
            log = self._topology.folder / f"command-{next(self._numbers)}.log"
            with Process(*_program(), *words.split(), log=log, env=environment) as process:
                yield end(process, words, rng)

        return strike

    def _wait(self, process: Process, words: str, rng: Random) -> str:
        status = process.wait(AT_ONCE)
        expected = COMMANDS[words]
        assert status in expected, f"expected {sorted(expected)}, got {status}:\n{process.tail}"
        return f"exit {status}"

    def _kill(self, process: Process, words: str, rng: Random) -> str | None:
        seconds = rng.uniform(0, EARLY)
        threading.Event().wait(seconds)
        if not process.is_running:
            return None
        process.kill()
        return f"kill -9 after {seconds:.1f} s"


def _program() -> Sequence[str | Path]:
    return (Path(sys.executable).parent / "failsoft",)
