"""What the jobs write down while they run: evidence that the system under test does not write.

One line when a step begins and one when it ends, each by a single write to a file opened for
appending. Times are of the monotonic clock, which all processes of a host share and which no
skew of the wall clock reaches.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any

#: The environment variables that tell the jobs where to write, and who runs them.
FILE = "CHAOS_WITNESS"
ACTOR = "CHAOS_ACTOR"
ENGINE = "CHAOS_ENGINE"

#: A step began, or ended; a wait came to something.
BEGIN, END, ANSWERED = "begin", "end", "met"


@dataclass(frozen=True, slots=True)
class Line:
    """One step that began or ended, or what one met; `at` is in microseconds."""

    phase: str
    job_id: str
    step: str
    attempt: int
    engine: str
    actor: str
    pid: int
    at: int
    met: str = ""


def now() -> int:
    """Return the microseconds of the monotonic clock."""
    return monotonic_ns() // 1000


def note(phase: str, job_id: str, step: str, attempt: int, *, met: str = "") -> None:
    """Append a line, from within a job."""
    engine, actor = os.environ.get(ENGINE, ""), os.environ.get(ACTOR, "")
    line = Line(phase, job_id, step, attempt, engine, actor, os.getpid(), now(), met)
    append(Path(os.environ[FILE]), asdict(line))


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record by one write, which no other writer and no SIGKILL can tear apart."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{json.dumps(record)}\n".encode())
    finally:
        os.close(file)


def read(path: Path) -> list[Line]:
    """Return every line in the order they were written."""
    return [Line(**record) for record in records(path)]


def has_ended(job_id: str, step: str) -> bool:
    """Tell whether any attempt has finished a step, from within a job."""
    told = (f'"phase": "{END}"', f'"job_id": "{job_id}"', f'"step": "{step}"')
    with Path(os.environ[FILE]).open() as lines:
        return any(all(each in line for each in told) for line in lines)


def records(path: Path) -> list[dict[str, Any]]:
    """Return what was appended to a file; nothing if it is not there."""
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
