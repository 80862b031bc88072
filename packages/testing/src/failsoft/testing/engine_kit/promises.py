"""Running the promises of an engine one by one, without a test runner."""

import linecache
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

from failsoft.testing.engine_suite import EngineSuite, WorkerSuite
from failsoft.testing.engine_suite.patience import patience
from failsoft.testing.engine_suite.workers import WorkerBench

#: What a promise's method begins with.
PREFIX = "test_"
#: How much longer than the patience a promise may take, before it counts as one that hangs.
SPARE = timedelta(seconds=300)
#: The suites of an engine, by what they try.
SUITES: Sequence[type] = (EngineSuite, WorkerSuite)


class ClosingBench(WorkerBench, Protocol):
    """A bench that ends its worker and its server."""

    def close(self) -> None:
        """End both."""
        ...


#: Makes a bench with a server of its own, which keeps what it keeps in an empty folder.
BenchFactory = Callable[[Path], ClosingBench]


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise of a suite.

    Attributes:
        suite: The suite's class.
        name: The method.
    """

    suite: type
    name: str

    @property
    def title(self) -> str:
        """Return the promise as a sentence."""
        return self.name.removeprefix(PREFIX).replace("_", " ")


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """What came of a promise.

    Attributes:
        suite: The name of its suite.
        name: Its method.
        promise: It as a sentence.
        kept: Whether it was kept.
        error: What broke it; empty where it was kept.
        seconds: How long it took.
    """

    suite: str
    name: str
    promise: str
    kept: bool
    error: str
    seconds: float


def promises_of(*suites: type) -> Iterator[Promise]:
    """Yield the promises of suites, in the order in which they are written."""
    for suite in suites:
        parts = [part for part in suite.__mro__ if part is not object]
        names = dict.fromkeys(name for part in parts for name in vars(part))
        yield from (Promise(suite, name) for name in names if name.startswith(PREFIX))


def run_promise(promise: Promise, make_bench: BenchFactory) -> PromiseResult:
    """Run one promise on a bench of its own, in a thread, so that one that hangs ends, too."""
    errors = list[str]()
    folder = Path(mkdtemp(prefix="failsoft-bench-"))

    def run() -> None:
        try:
            with closing(make_bench(folder)) as bench:
                getattr(promise.suite(), promise.name)(bench)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the promise is broken
            errors.append(_described(error))

    began, limit = time.monotonic(), patience() + SPARE
    thread = threading.Thread(target=run, name=promise.name, daemon=True)
    thread.start()
    thread.join(limit.total_seconds())
    if thread.is_alive():
        errors.append(f"expected an end within {limit.total_seconds():g} s, got none")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return PromiseResult(
        promise.suite.__name__,
        promise.name,
        promise.title,
        kept=not errors,
        error=errors[0] if errors else "",
        seconds=round(time.monotonic() - began, 2),
    )


def _described(error: BaseException) -> str:
    """Return what an error says, and the line of the promise that raised it."""
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "engine_suite" in frame[0]
    ]
    if not frames:
        return f"{kind}{error}"
    last = frames[-1]
    # An assert may be written in several lines.
    lines = range(last.lineno or 0, (last.end_lineno or last.lineno or 0) + 1)
    line = " ".join(linecache.getline(last.filename, each).strip() for each in lines)
    place = f"{Path(last.filename).name}:{last.lineno}: {line}"
    return f"{kind}{error} ({place})" if str(error) else f"{kind}{place}"
