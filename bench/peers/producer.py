"""The program that enqueues for a system, in its own environment, which obeys lines of JSON."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from failsoft.engine_api import KillOnExit


class ProducerEndedError(AssertionError):
    """The program ended where it was to reply."""


class ProducerProcess:
    """Starts the program and waits until it is ready.

    Args:
        command: The program.
        env: Its whole environment.
        cwd: The folder that modules are imported from.
        log: Where its errors go.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self._log = log
        with log.open("a") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=env,
                cwd=cwd,
            )
        self._switch = KillOnExit()
        self._switch.watch(self._process.pid)
        self.can: Sequence[str] = self._reply()

    def enqueue(self, numbers: range) -> Sequence[tuple[float, float]]:
        """Enqueue one by one; return when each call began, and the seconds that it took."""
        return [(began, seconds) for began, seconds in self._do("enqueue", numbers)]

    def many(self, numbers: range) -> float:
        """Enqueue at once; return the seconds that it took."""
        return float(self._do("many", numbers))

    def steps(self, numbers: range) -> None:
        """Enqueue jobs of ten steps, one by one."""
        self._do("steps", numbers)

    def ended(self) -> int | None:
        """Return how many jobs are recorded as ended; None where none are recorded."""
        found = self._do("ended", range(0))
        return None if found is None else int(found)

    def stop(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        self._switch.release()

    def _do(self, order: str, numbers: range) -> Any:
        sink = self._process.stdin
        assert sink is not None  # noqa: S101 - it is a pipe
        sink.write(json.dumps({"do": order, "numbers": [numbers.start, numbers.stop]}) + "\n")
        sink.flush()
        return self._reply()

    def _reply(self) -> Any:
        source = self._process.stdout
        assert source is not None  # noqa: S101 - it is a pipe
        line = source.readline()
        if not line:
            written = self._log.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise ProducerEndedError(f"expected a reply, got an end; it wrote last: {written[-1]}")
        return json.loads(line)
