"""What jobs write down while they run: evidence that the system under test does not write.

One line when a step begins and one when it ends, each by a single write to a file opened for
appending, so that no line is lost or mixed however many processes write.
"""

import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import Any

#: The environment variables that say where the jobs write, and which engine and process run them.
FILE = "EFFECT_LOG"
ENGINE = "EFFECT_LOG_ENGINE"
ACTOR = "EFFECT_LOG_ACTOR"

#: A step began, or ended; a wait was answered.
BEGUN, ENDED, ANSWERED = "begun", "ended", "met"


@dataclass(frozen=True, slots=True)
class Line:
    """One step that began or ended, or what a wait was answered with.

    Attributes:
        at: When, in microseconds of the monotonic clock, which all processes of a host share and
            which no skew of the wall clock reaches.
        met: The answer.
        wall: When, in microseconds of the wall clock, as in the ledger.
    """

    phase: str
    job_id: str
    step: str
    attempt: int
    engine: str
    actor: str
    pid: int
    at: int
    met: str = ""
    wall: int = 0


def now() -> int:
    """Return the microseconds of the monotonic clock."""
    return monotonic_ns() // 1000


def note(phase: str, job_id: str, step: str, attempt: int, *, met: str = "") -> None:
    """Append a line, from within a job."""
    engine, actor = os.environ.get(ENGINE, ""), os.environ.get(ACTOR, "")
    times = {"at": now(), "wall": time_ns() // 1000}
    line = Line(phase, job_id, step, attempt, engine, actor, os.getpid(), met=met, **times)
    append(Path(os.environ[FILE]), asdict(line))


def has_ended(job_id: str, step: str) -> bool:
    """Return whether any attempt has finished a step, from within a job."""
    parts = (f'"phase": "{ENDED}"', f'"job_id": "{job_id}"', f'"step": "{step}"')
    with Path(os.environ[FILE]).open() as lines:
        return any(all(each in line for each in parts) for line in lines)


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record by one write, which no other writer and no SIGKILL can tear apart."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{json.dumps(record)}\n".encode())
    finally:
        os.close(file)


def records(path: Path) -> list[dict[str, Any]]:
    """Return what was appended to a file; nothing if it is not there."""
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


class EffectLog:
    """Reads what the jobs wrote, each line once: promises are checked job by job."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read = 0
        self._lines: list[Line] = []
        self._by_job: defaultdict[str, list[Line]] = defaultdict(list)
        self._lock = threading.Lock()

    def lines(self, job_id: str | None = None) -> list[Line]:
        """Return every line, or those of one job, in the order they were written."""
        with self._lock:
            self._read_on()
            return list(self._lines if job_id is None else self._by_job[job_id])

    def begun(self, job_id: str | None = None) -> list[Line]:
        return [line for line in self.lines(job_id) if line.phase == BEGUN]

    def has_begun(self, job_id: str, step: str, attempt: int = 1) -> bool:
        return any((line.step, line.attempt) == (step, attempt) for line in self.begun(job_id))

    def times_begun(self, job_id: str) -> Mapping[str, int]:
        """Return how often each step of a job began."""
        return Counter(line.step for line in self.begun(job_id))

    def engines(self, job_id: str) -> list[str]:
        """Return the engine of each attempt that began a step."""
        return list({line.attempt: line.engine for line in self.begun(job_id)}.values())

    def jobs(self) -> set[str]:
        """Return the ids of the jobs that ran."""
        return {line.job_id for line in self.begun()}

    def _read_on(self) -> None:
        """Read what was appended since the last time."""
        if not self.file.exists():
            return
        with self.file.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for text in whole.splitlines():
            line = Line(**json.loads(text))
            self._lines.append(line)
            self._by_job[line.job_id].append(line)
