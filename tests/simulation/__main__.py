"""Simulate: `python -m tests.simulation --seed N` replays one, `--seeds N` runs so many."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation import seeds
from tests.simulation.run import Run, World
from tests.simulation.summary import keep, summarise

#: A line of progress is printed after so many seeds.
PROGRESS = 100


def main() -> int:
    """Print what comes of it; return 1 if anything is wrong or was never met."""
    given = _arguments()
    if given.seed is not None:
        run = World(given.seed).run()
        _print(f"seed {run.seed}: {run.moments} moments, {run.jobs} jobs, digest {run.digest:08x}")
        _print("\n".join(seeds.report(run)) if run.wrong else "nothing is wrong")
        return int(bool(run.wrong))
    return _run_many(range(given.first, given.first + given.seeds), given.processes)


def simulate(seed: int) -> Run:
    """Run one seed; the processes that share the work call it."""
    return World(seed).run()


def _run_many(wanted: range, processes: int) -> int:
    runs = list(_progress(wanted, processes))
    keep(runs)
    figures = summarise(runs)
    _print(json.dumps(figures, indent=2))
    return int(bool(figures["failed"] or figures["never"]))


def _progress(wanted: range, processes: int) -> Iterator[Run]:
    with ProcessPoolExecutor(processes) as pool:
        for count, run in enumerate(pool.map(simulate, wanted, chunksize=10), 1):
            if run.wrong:
                _print("\n".join([*seeds.report(run), f"kept as {seeds.keep(run)}"]))
            if count % PROGRESS == 0:
                _print(f"{count} of {len(wanted)} seeds")
            yield run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seeds", type=int, default=2000, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
