"""`python -m failsoft.testing.engine_kit NAME`: run an engine's promises, a line of JSON for each.

What `failsoft engines test` starts: a process of its own, because promises leave threads behind
where they are broken.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from importlib import import_module
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from failsoft.testing.engine_kit.promises import (
    SUITES,
    BenchFactory,
    PromiseResult,
    promises_of,
    run_promise,
)
from failsoft.testing.engine_kit.take_over import LOSING, take_over
from failsoft.testing.engine_suite.patience import PATIENCE, within

#: The entry points of benches, each named as its engine.
GROUP = "failsoft.engine_benches"
#: The promise that takes a whole installation.
TAKE_OVER = "take_over"
#: The exit statuses: a promise is broken; there is no bench.
FAILURE, CONFIG = 1, 78


class TakeOver:
    """The last promise of an engine, on a whole installation."""

    def __init__(self, name: str, losing: str) -> None:
        self._name = name
        self._losing = losing

    def run(self, make_bench: BenchFactory | None) -> PromiseResult:
        """Run it; without a bench, on the server that the engine starts itself."""
        promise = f"a job that {self._losing} lost is carried on after its last finished step"
        began, error = time.monotonic(), ""
        with TemporaryDirectory(prefix="failsoft-take-over-", ignore_cleanup_errors=True) as folder:
            try:
                take_over(self._name, make_bench, Path(folder), self._losing)
            except Exception as raised:  # noqa: BLE001 - whatever it is, the promise is broken
                error = str(raised) or repr(raised)
        seconds = round(time.monotonic() - began, 2)
        return PromiseResult("TakeOver", TAKE_OVER, promise, not error, error, seconds)


def main(arguments: Sequence[str]) -> int:
    """Run the promises of an engine; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m failsoft.testing.engine_kit")
    parser.add_argument("name")
    parser.add_argument("--bench", help="MODULE:CLASS, where no entry point names it")
    parser.add_argument("--only", default="", help="promises whose name contains this")
    parser.add_argument("--losing", default=LOSING, help="the engine that loses a job")
    parser.add_argument("--patience", type=float, default=PATIENCE.total_seconds())
    given = parser.parse_args(arguments)
    make_bench = _bench_of(given.name, given.bench)
    wanted = given.only.replace(" ", "_")
    promises = [each for each in promises_of(*SUITES) if wanted in each.name]
    if make_bench is None and promises:
        sys.stderr.write(
            f"expected a bench of engine {given.name}: an entry point {given.name} of the group "
            f"{GROUP}, or --bench MODULE:CLASS, got none; without one there is --only take_over\n"
        )
        return CONFIG
    with within(timedelta(seconds=given.patience)):
        kept = [] if make_bench is None else [_say(run_promise(p, make_bench)) for p in promises]
        if wanted in TAKE_OVER:
            kept.append(_say(TakeOver(given.name, given.losing).run(make_bench)))
    return 0 if kept and all(kept) else FAILURE


def _say(result: PromiseResult) -> bool:
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    sys.stdout.flush()
    return result.kept


def _bench_of(name: str, place: str | None) -> BenchFactory | None:
    if place is not None:
        module, _, attribute = place.partition(":")
        return cast("BenchFactory", attrgetter(attribute)(import_module(module)))
    found = [each for each in entry_points(group=GROUP) if each.name == name]
    return cast("BenchFactory", found[0].load()) if found else None


if __name__ == "__main__":
    _status = main(sys.argv[1:])
    sys.stdout.flush()
    # Threads of promises that hang would keep this process.
    os._exit(_status)
