"""A contender in a process of its own, with no other threads.

    python -m bench.steps.apart MODULE URL

Runs one job of the module's for each line that it reads, and writes the seconds that it took.
"""

import subprocess
import sys
import time
from importlib import import_module


class Apart:
    """A process that runs the jobs of a module of this folder, one after the other."""

    def __init__(self, module: str, url: str) -> None:
        """Start it, and wait until it is ready."""
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            (sys.executable, "-m", "bench.steps.apart", module, url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.run(0)

    def run(self, number: int) -> float:
        """Run one job; return the seconds that it took."""
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None and sink is not None  # noqa: S101, PT018 - both are pipes
        sink.write(f"{number}\n")
        sink.flush()
        return float(source.readline())

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def main(module: str, url: str) -> None:
    """Run jobs until none is requested."""
    contender = import_module(module).InProcess(url)
    for line in sys.stdin:
        started = time.perf_counter()
        contender.run(int(line))
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
