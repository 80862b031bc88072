"""What the programs of all systems have in common, in the standard library alone.

    python -m bench.peers.program rq produce       # obeys lines of JSON, answers with lines of JSON
    python -m bench.peers.program rq work simple   # works until it is ended

Each runs with the Python of its system's own environment, in which nothing else is installed. A job
notes its number and the time in one file, the witness, by one appending write: what ran, how often
and when is read from there, for all systems alike.
"""

import json
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol

#: The variable with the path of the witness.
WITNESS = "BENCH_WITNESS"
#: The variable with the address of the system's broker or database.
URL = "BENCH_URL"
EMAIL = "ada@example.org"
STEPS = 10

_RECORD = struct.Struct("<qd")


class Enqueues(Protocol):
    """How a program enqueues jobs with a system's own library.

    One that can enqueue many at once has a method `many` of their numbers, one that has steps a
    method `steps` of a number.
    """

    def enqueue(self, number: int) -> object:
        """Enqueue one job."""

    def ended(self) -> int | None:
        """Return how many jobs the system has recorded as ended; None if it records none."""


def witness(number: int) -> int:
    """Note that a job runs; return its number."""
    os.write(_witness(), _RECORD.pack(number, time.monotonic()))
    return number


@cache
def _witness() -> int:
    return os.open(os.environ[WITNESS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)


def witnessed(path: Path, skip: int = 0) -> Sequence[tuple[int, float]]:
    """Return the number and the time of each run that a witness holds, after the first so many."""
    with path.open("rb") as file:
        file.seek(skip * _RECORD.size)
        whole = file.read()
    return list(_RECORD.iter_unpack(whole[: len(whole) // _RECORD.size * _RECORD.size]))


def runs(path: Path) -> int:
    """Return how many runs a witness holds."""
    return path.stat().st_size // _RECORD.size


def become(*command: str) -> NoReturn:
    """Go on as a program that is installed beside this Python."""
    program = Path(sys.executable).with_name(command[0])
    os.execv(program, [str(program), *command[1:]])  # noqa: S606 - a worker that the caller named


def _obey(make: Callable[[], Enqueues]) -> None:
    replies = os.fdopen(os.dup(1), "w")
    # What a library prints is no reply.
    os.dup2(2, 1)
    for reply in _replies(make()):
        replies.write(f"{json.dumps(reply)}\n")
        replies.flush()


def _replies(producer: Any) -> Iterator[object]:
    does = {"enqueue": _enqueue, "many": _many, "steps": _steps, "ended": _ended}
    # Which of these the system has.
    yield [each for each in ("many", "steps") if hasattr(producer, each)]
    for line in sys.stdin:
        order = json.loads(line)
        yield does[order["do"]](producer, range(*order["numbers"]))


def _enqueue(producer: Any, numbers: Sequence[int]) -> list[tuple[float, float]]:
    """Return when each call began, and the seconds that it took."""
    times = []
    for number in numbers:
        began = time.monotonic()
        producer.enqueue(number)
        times.append((began, time.monotonic() - began))
    return times


def _many(producer: Any, numbers: Sequence[int]) -> float:
    began = time.monotonic()
    producer.many(numbers)
    return time.monotonic() - began


def _steps(producer: Any, numbers: Sequence[int]) -> None:
    for number in numbers:
        producer.steps(number)


def _ended(producer: Any, _: Sequence[int]) -> int | None:
    return producer.ended()


def main(name: str, role: str) -> None:
    """Be the producer or a worker of a system."""
    # Imported under its own name, as the workers import it: libraries put that into messages.
    program = import_module(f"bench.peers.programs.{name}")
    if role == "work":
        program.work()
    else:
        _obey(program.Producer)


if __name__ == "__main__":
    main(*sys.argv[1:3])
