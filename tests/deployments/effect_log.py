"""What jobs write down while they run: evidence that the system under test does not write.

A job appends one line when a step begins and one when it ends, each by a single write to a file
opened for appending, so that no line is lost or mixed however many processes write.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

#: The environment variables that tell a worker's jobs where to write, and which engine this is.
FILE = "WITNESS_FILE"
ENGINE = "WITNESS_ENGINE"

BEGUN, ENDED = "begun", "ended"
NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One step that began or ended; `at` is in microseconds, as in the ledger."""

    what: str
    job_id: str
    step: str
    attempt: int
    engine: str
    pid: int
    at: int


def note(what: str, job_id: str, step: str, attempt: int) -> None:
    """Append a line, from within a job."""
    engine = os.environ.get(ENGINE, "")
    line = Line(what, job_id, step, attempt, engine, os.getpid(), time.time_ns() // 1000)
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{json.dumps(asdict(line))}\n".encode())
    finally:
        os.close(file)


class EventLog:
    """Reads what the jobs wrote."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def lines(self, job_id: str | None = None) -> list[Line]:
        """Every line, or those of one job, in the order they were written."""
        found = [Line(**json.loads(text)) for text in self.file.read_text().splitlines()]
        return [line for line in found if job_id in (None, line.job_id)]

    def begun(self, job_id: str | None = None) -> list[Line]:
        return [line for line in self.lines(job_id) if line.what == BEGUN]

    def has_begun(self, job_id: str, step: str, attempt: int = 1) -> bool:
        return any((line.step, line.attempt) == (step, attempt) for line in self.begun(job_id))

    def times_begun(self, job_id: str) -> Mapping[str, int]:
        """How often each step of a job began."""
        return Counter(line.step for line in self.begun(job_id))

    def engines(self, job_id: str) -> list[str]:
        """The engine of each attempt that began a step."""
        return list({line.attempt: line.engine for line in self.begun(job_id)}.values())

    def jobs(self) -> set[str]:
        """The ids of the jobs that ran."""
        return {line.job_id for line in self.begun()}
