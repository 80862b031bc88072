"""One system at work: what a turn of it measures.

A turn begins with enqueuing, while no worker runs: some jobs one by one, the rest at once where the
system has a call for it. Then a worker starts, and drains what waits: that time runs from the first
job's start until the last is recorded as ended by the system itself, or has started where it
records nothing. Then jobs come one at a time to the worker that waits. No two systems are at work
at the same time.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.peers.catalogue import POSTGRESQL, RABBITMQ, System
from bench.peers.cpu import cpu_seconds
from bench.peers.environment import ROOT, python_of
from bench.peers.producer import ProducerProcess
from bench.peers.program import STEPS, URL, WITNESS, runs, witnessed
from bench.servers import Servers
from tests.servers.processes import Process

#: How long a drain may take, in seconds.
PATIENCE = 120
#: Between two looks at the witness, in seconds.
LOOK = 0.002
#: Between two jobs that come one at a time, in seconds: at random, so that no system's own interval
#: falls in with it.
PAUSE = (0.01, 0.05)


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much a turn has of everything.

    Attributes:
        share: Of the jobs that the catalogue gives a drain.
        enqueued: Jobs that are enqueued one by one.
        pickups: Jobs that come one at a time.
        steps: Jobs of ten steps.
    """

    share: float = 1.0
    enqueued: int = 200
    pickups: int = 40
    steps: int = 60


#: What a turn measured, by its name; a round's worth.
Figures = dict[str, float]


class Running:
    """A system with its producer, ready for its turns.

    Args:
        system: Which one.
        servers: What it runs on.
        folder: Where its logs and the witness go.
        stack: What ends it.
    """

    def __init__(self, system: System, servers: Servers, folder: Path, stack: ExitStack) -> None:
        self.system = system
        self._servers = servers
        self._folder = folder
        self._python = str(python_of(system.packages))
        self._witness = folder / "witness"
        self._witness.touch()
        self._environment = {**os.environ, **self._addresses()}
        command = (*self._program, "produce")
        self._producer = ProducerProcess(
            command, env=self._environment, cwd=ROOT, log=folder / "producer.log"
        )
        stack.callback(self._producer.stop)
        self._next = 0

    def turn(self, amounts: Amounts, kinds: Sequence[str]) -> Figures:
        """Enqueue, drain, pick up; return what was measured.

        Raises:
            AssertionError: A job was lost, or ran twice.
        """
        found: Figures = {}
        count = max(int(self.system.jobs * amounts.share), 1)
        with self._every_one_once():
            numbers = self._numbers(count)
            found |= self._fill(numbers, min(amounts.enqueued, count // 2))
            with self._workers():
                found |= self._drained(numbers)
                if "pickup" in kinds and self.system.processes == 1:
                    found |= self._picked_up(amounts.pickups)
                if "steps" in kinds and "steps" in self._producer.can:
                    found |= self._stepped(amounts.steps)
        return found

    @property
    def _program(self) -> Sequence[str]:
        return (self._python, "-m", "bench.peers.program", self.system.program)

    def _addresses(self) -> Mapping[str, str]:
        system, servers = self.system, self._servers
        database = servers.database(system.database) if system.database else ""
        broker = servers.rabbitmq if system.server == RABBITMQ else servers.valkey
        url = broker.url if system.server else database
        queue = f"bench-{system.program}-{'-'.join(system.arguments)}".strip("-")
        common = {URL: url, WITNESS: str(self._witness), "BENCH_QUEUE": queue}
        return common | (_settings(system, database, url) if system.is_ours else {})

    def _numbers(self, count: int) -> range:
        self._next += count
        return range(self._next - count, self._next)

    @contextmanager
    def _every_one_once(self) -> Iterator[None]:
        first, before = self._next, runs(self._witness)
        yield
        ran = sorted(number for number, _ in witnessed(self._witness, before))
        if ran != list(range(first, self._next)):
            raise AssertionError(
                f"expected each of {self._next - first} jobs of {self.system.name} to run once, "
                f"got {len(ran)} runs of {len(set(ran))}"
            )

    def _fill(self, numbers: range, singly: int) -> Figures:
        """Enqueue all of them; the first by a call each, the rest at once if there is a call."""
        many = "many" in self._producer.can
        one_by_one = numbers[:singly] if many else numbers
        seconds = [each for _, each in self._producer.enqueue(one_by_one)]
        found = {
            "enqueue_p50_us": statistics.median(seconds) * 1e6,
            "enqueue_p99_us": statistics.quantiles(seconds, n=100, method="inclusive")[98] * 1e6,
        }
        if many:
            found["bulk_per_s"] = (len(numbers) - singly) / self._producer.many(numbers[singly:])
        return found

    @contextmanager
    def _workers(self) -> Iterator[None]:
        command = (*self._program, "work", *self.system.arguments)
        processes = [
            Process(*command, log=self._folder / "worker.log", env=self._environment, cwd=ROOT)
            for _ in range(self.system.processes)
        ]
        self._working = [psutil.Process(each.pid) for each in processes]
        try:
            yield
        finally:
            for each in processes:
                each.kill()

    def _drained(self, numbers: range) -> Figures:
        before = runs(self._witness)
        ended = self._ended()
        self._wait_for(before + 1, "the first job")
        begun, workers, servers = runs(self._witness) - before, self._cpu(), self._servers_cpu()
        wal = self._wal()
        self._wait_for(before + len(numbers), f"{len(numbers)} jobs")
        self._settle(None if ended is None else ended + len(numbers))
        done = time.monotonic()
        counted = len(numbers) - begun
        first = min(at for _, at in witnessed(self._witness, before))
        found = {
            "jobs_per_s": len(numbers) / (done - first),
            "worker_cpu_us": (self._cpu() - workers) / counted * 1e6,
            "server_cpu_us": (self._servers_cpu() - servers) / counted * 1e6,
        }
        if self.system.database == POSTGRESQL:
            found["wal_bytes"] = (self._wal() - wal) / counted
        return found

    def _picked_up(self, count: int) -> Figures:
        waits = []
        for _ in range(count):
            time.sleep(random.uniform(*PAUSE))
            before = runs(self._witness)
            [(began, _)] = self._producer.enqueue(self._numbers(1))
            self._wait_for(before + 1, "a job that comes alone")
            [(_, at)] = witnessed(self._witness, before)
            waits.append((at - began) * 1000)
        p99 = statistics.quantiles(waits, n=100, method="inclusive")[98]
        return {"pickup_p50_ms": statistics.median(waits), "pickup_p99_ms": p99}

    def _stepped(self, count: int) -> Figures:
        before, ended = runs(self._witness), self._ended()
        began = time.monotonic()
        self._producer.steps(self._numbers(count))
        self._wait_for(before + count, "jobs of ten steps")
        self._settle(None if ended is None else ended + count)
        return {"steps_per_s": count * STEPS / (time.monotonic() - began)}

    def _ended(self) -> int | None:
        return self._producer.ended()

    def _settle(self, ended: int | None) -> None:
        """Wait until the system itself has recorded so many ends, where it records them."""
        if ended is not None:
            _wait(lambda: (self._ended() or 0) >= ended, f"{ended} recorded ends")

    def _wait_for(self, count: int, what: str) -> None:
        _wait(lambda: runs(self._witness) >= count, f"{what} of {self.system.name}")

    def _cpu(self) -> float:
        return cpu_seconds(self._working)

    def _servers_cpu(self) -> float:
        return cpu_seconds(self._servers.started())

    def _wal(self) -> float:
        """Return how many bytes PostgreSQL has written to its log."""
        if self.system.database != POSTGRESQL:
            return 0.0
        found = self._servers.postgresql.ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        assert found is not None  # noqa: S101 - a function returns one row
        return float(str(found[0]))


def _settings(system: System, ledger: str, broker: str) -> Mapping[str, str]:
    name = "FAILSOFT_AMQP_URL" if system.server == RABBITMQ else "FAILSOFT_REDIS_URL"
    return {
        "BENCH_ENGINE": system.engine,
        "FAILSOFT_LEDGER_URL": ledger,
        "FAILSOFT_ENGINES": system.engine,
        "FAILSOFT_JOBS": "bench.peers.programs.failsoft",
        # Several ledgers share one broker here.
        "FAILSOFT_NAMESPACE": f"{system.database}-{system.processes}",
        name: broker,
    }


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"expected within {PATIENCE} s: {what}")
        time.sleep(LOOK)
