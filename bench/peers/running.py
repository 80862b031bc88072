"""One system at work: what a turn of it measures.

A turn begins with enqueuing, while no worker runs: some jobs one by one, the rest at once where the
system has a call for that. Then a worker starts, and drains what waits: that time runs from the
first job's start until the last is recorded as ended by the system itself, or has started where it
records nothing. Then jobs come one at a time to the worker that waits. What the database uses for a
job is the sum of one enqueue and one drained job. No two systems are at work at the same time.
"""

import os
import random
import statistics
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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

ENQUEUE_P50, ENQUEUE_P99, BULK = "enqueue_p50_us", "enqueue_p99_us", "bulk_per_s"
JOBS, WORKER_CPU, SERVER_CPU = "jobs_per_s", "worker_cpu_us", "server_cpu_us"
POSTGRESQL_CPU, WAL = "postgresql_cpu_us", "wal_bytes"
PICKUP_P50, PICKUP_P99, STEPS_RATE = "pickup_p50_ms", "pickup_p99_ms", "steps_per_s"


class Running:
    """A system with its producer, ready for its turns.

    Args:
        system: Which one.
        servers: What it runs on.
        folder: Where its logs and the witness go; its name keeps its queues apart from others.
        stack: What ends it.
    """

    def __init__(self, system: System, servers: Servers, folder: Path, stack: ExitStack) -> None:
        self.system = system
        folder.mkdir(parents=True)
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

    def turn(self, amounts: Amounts, kinds: Collection[str]) -> Figures:
        """Enqueue, drain, pick up; return what was measured.

        Raises:
            AssertionError: A job was lost, or ran twice.
        """
        found: Counter[str] = Counter()
        count = max(int(self.system.jobs * amounts.share), 2)
        with self._every_one_once():
            numbers = self._numbers(count)
            found.update(self._fill(numbers, min(amounts.enqueued, count // 2)))
            with self._workers():
                # Adds what both have of the database.
                found.update(self._drained(numbers))
                if "pickup" in kinds and self.system.processes == 1:
                    found.update(self._picked_up(amounts.pickups))
                if "steps" in kinds and "steps" in self._producer.can:
                    found.update(self._stepped(amounts.steps))
        return dict(found)

    def bulk(self, count: int) -> Figures:
        """Enqueue so many at once, which no worker will take; return how many a second."""
        return {BULK: count / self._producer.many(self._numbers(count))}

    @property
    def can(self) -> Collection[str]:
        """What the system has beside enqueuing one job."""
        return self._producer.can

    @property
    def _program(self) -> Sequence[str]:
        return (self._python, "-m", "bench.peers.program", self.system.program)

    def _addresses(self) -> Mapping[str, str]:
        system, servers, name = self.system, self._servers, self._folder.name
        database = servers.database(system.database) if system.database else ""
        broker = servers.rabbitmq if system.server == RABBITMQ else servers.valkey
        url = broker.url if system.server else database
        common = {URL: url, WITNESS: str(self._witness), "BENCH_QUEUE": name}
        return common | (_settings(system, name, database, url) if system.is_ours else {})

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
        many = "many" in self.can
        one_by_one = numbers[:singly] if many else numbers
        before = self._database_used()
        seconds = [each for _, each in self._producer.enqueue(one_by_one)]
        used = _each(before, self._database_used(), len(one_by_one))
        if many:
            self._producer.many(numbers[singly:])
        p50, p99 = _percentiles(seconds)
        return {ENQUEUE_P50: p50 * 1e6, ENQUEUE_P99: p99 * 1e6, **used}

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
        before, ended = runs(self._witness), self._producer.ended()
        self._wait_for(before + 1, "the first job")
        begun, used = runs(self._witness) - before, self._used()
        self._wait_for(before + len(numbers), f"{len(numbers)} jobs")
        self._settle(None if ended is None else ended + len(numbers))
        done = time.monotonic()
        first = min(at for _, at in witnessed(self._witness, before))
        # What was used until the first job was seen belongs to the start of the worker.
        used = _each(used, self._used(), len(numbers) - begun)
        return {JOBS: len(numbers) / (done - first), **used}

    def _picked_up(self, count: int) -> Figures:
        waits, ended = [], self._producer.ended()
        for _ in range(count):
            time.sleep(random.uniform(*PAUSE))
            before = runs(self._witness)
            [(began, _)] = self._producer.enqueue(self._numbers(1))
            self._wait_for(before + 1, "a job that comes alone")
            [(_, at)] = witnessed(self._witness, before)
            waits.append((at - began) * 1000)
        # A job that has run and is not recorded would run again when its worker was killed.
        self._settle(None if ended is None else ended + count)
        p50, p99 = _percentiles(waits)
        return {PICKUP_P50: p50, PICKUP_P99: p99}

    def _stepped(self, count: int) -> Figures:
        before, ended = runs(self._witness), self._producer.ended()
        began = time.monotonic()
        self._producer.steps(self._numbers(count))
        self._wait_for(before + count, "jobs of ten steps")
        self._settle(None if ended is None else ended + count)
        return {STEPS_RATE: count * STEPS / (time.monotonic() - began)}

    def _settle(self, ended: int | None) -> None:
        """Wait until the system itself has recorded so many ends, where it records them."""
        if ended is not None:
            _wait(lambda: (self._producer.ended() or 0) >= ended, f"{ended} recorded ends")

    def _wait_for(self, count: int, what: str) -> None:
        _wait(lambda: runs(self._witness) >= count, f"{what} of {self.system.name}")

    def _used(self) -> Figures:
        return {
            WORKER_CPU: cpu_seconds(self._working) * 1e6,
            SERVER_CPU: cpu_seconds(self._servers.started()) * 1e6,
            **self._database_used(),
        }

    def _database_used(self) -> Figures:
        """Return PostgreSQL's microseconds of the processors and the bytes of its log, so far."""
        if self.system.database != POSTGRESQL:
            return {}
        server = self._servers.postgresql
        found = server.ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        assert found is not None and server.process is not None  # noqa: S101, PT018 - it runs
        spent = cpu_seconds([psutil.Process(server.process.pid)])
        return {POSTGRESQL_CPU: spent * 1e6, WAL: float(str(found[0]))}


def _each(before: Figures, after: Figures, count: int) -> Figures:
    """Return what was used in between, of each of so many."""
    return {name: (now - before[name]) / max(count, 1) for name, now in after.items()}


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99."""
    p99 = statistics.quantiles(values, n=100, method="inclusive")[98]
    return statistics.median(values), p99


def _settings(system: System, namespace: str, ledger: str, broker: str) -> Mapping[str, str]:
    name = "FAILSOFT_AMQP_URL" if system.server == RABBITMQ else "FAILSOFT_REDIS_URL"
    return {
        "BENCH_ENGINE": system.engine,
        "FAILSOFT_LEDGER_URL": ledger,
        "FAILSOFT_ENGINES": system.engine,
        "FAILSOFT_JOBS": "bench.peers.programs.failsoft",
        # Several ledgers share one broker here; the folder's name would be too long.
        "FAILSOFT_NAMESPACE": f"bench-{zlib.crc32(namespace.encode()):x}",
        name: broker,
    }


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"expected within {PATIENCE} s: {what}")
        time.sleep(LOOK)
