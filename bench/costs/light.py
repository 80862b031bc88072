"""What Failsoft costs before and beside its jobs: imports, idle processes, memory.

    make bench-light ARGS="--json"

CPU of a command and of an import: user and system time of a process of its own, the least of
`--rounds`, with what Python and pydantic alone take in the same rounds. Idle: a worker process of
each engine that has nothing to do, its CPU in percent of one core, and how often its threads go to
sleep in a second (`voluntary_ctxt_switches` of all of them). Memory: the proportional set size of
a worker process that is executed by itself, of each of several that one supervisor has started, of
a raw RQ worker on the same Redis, and of a supervisor.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.report.bars import at_most
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.servers.processes import Process, wait_until
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

ROOT = Path(__file__).parents[2]
PATIENCE = 120
ENGINES = ("rq", "dramatiq", "ledger")
#: What is to be reached: milliseconds of CPU, percent of a core, wake-ups a second, MB.
HELP_MS, IMPORT_MS, IDLE_PERCENT, WAKES, SUPERVISOR_MB, ABOVE_RAW_MB = 200, 250, 0.2, 5, 25, 30
#: How many workers of one supervisor are measured together.
SEVERAL = 4
#: How long a worker is left alone before it is measured, in seconds.
SETTLE_SECONDS = 5.0

_FAILSOFT = (sys.executable, "-c", "from failsoft.worker.cli import main; main()")
#: What is started and measured, by its name.
COMMANDS: Mapping[str, Sequence[str]] = {
    "python": (sys.executable, "-c", "pass"),
    "pydantic": (sys.executable, "-c", "from pydantic import BaseModel"),
    "failsoft --help": (*_FAILSOFT, "--help"),
    "import failsoft.dispatcher": (sys.executable, "-c", "import failsoft.dispatcher"),
    "import dispatch_job": (sys.executable, "-c", "from failsoft.api import dispatch_job"),
    "import dispatch_job, job": (
        sys.executable,
        "-c",
        "from failsoft.api import dispatch_job, job",
    ),
    "import the worker process": (sys.executable, "-c", "import failsoft.worker.process"),
}
#: Those that have a target.
LIMITS_MS = {
    "failsoft --help": HELP_MS,
    "import failsoft.dispatcher": IMPORT_MS,
    "import dispatch_job": IMPORT_MS,
}
_RAW = (
    "from redis import Redis; from rq import Queue, Worker; import sys;"
    "c = Redis.from_url(sys.argv[1]); Worker([Queue('raw', connection=c)], connection=c).work()"
)


def main() -> None:
    """Measure, and print a table or figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="of commands and imports")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which workers are idle")
    parser.add_argument("--json", action="store_true", help="print figures, not a table")
    arguments = parser.parse_args()
    found = list(rows(arguments.rounds, arguments.seconds))
    table = Table("", "target", "figure", "spread", "met", title="light")
    for each in found:
        spread = f"{each['spread'][0]:g} to {each['spread'][1]:g}"
        table.add_row(each["name"], each["target"], f"{each['figure']:g}", spread, f"{each['met']}")
    Console(stderr=arguments.json).print(table)
    if arguments.json:
        print(json.dumps(found, indent=2))


def rows(rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield each figure with its target and whether it is met."""
    yield from imports(rounds)
    with ExitStack() as stack:
        yield from processes(stack, seconds)


def imports(rounds: int) -> Iterator[dict[str, Any]]:
    """Measure commands and imports in turn, so that a busy machine slows each of them alike."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(cpu_of(command))
    for name, each in times.items():
        yield row(f"{name}, ms of CPU", min(each), each, LIMITS_MS.get(name))


def processes(stack: ExitStack, seconds: float) -> Iterator[dict[str, Any]]:
    """Measure workers that wait, and a supervisor."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    environment = with_servers(folder, stack)
    raw = started(stack, folder, environment, "raw", "-c", _RAW, environment["REDIS_URL"])
    idle_wait(raw)
    of_raw = pss(raw.pid)
    yield row("raw RQ worker, PSS in MB", of_raw, [of_raw])
    for engine in ENGINES:
        yield from worker_of(engine, stack, folder, environment, of_raw=of_raw, seconds=seconds)
    words = ("worker", "rq", "--queue", "default", "--processes", f"{SEVERAL}")
    supervisor = started(stack, folder, environment, "supervisor", *_FAILSOFT[1:], *words)
    log = folder / "supervisor.log"
    wait_until(lambda: log.read_text().count("worker.start") == SEVERAL, PATIENCE, "they are up")
    idle_wait(supervisor)
    memory = pss(supervisor.pid)
    yield row("supervisor, PSS in MB", memory, [memory], SUPERVISOR_MB)
    # With what they are forked from.
    each = sum(pss(child.pid) for child in psutil.Process(supervisor.pid).children()) / SEVERAL
    above = round(each - of_raw, 1)
    yield row(f"each of {SEVERAL} workers of rq, MB above raw RQ's", above, [above], ABOVE_RAW_MB)
    percent, _ = idle(supervisor.pid, seconds / 2)
    yield row("idle supervisor, percent of a core", percent, [percent])


def worker_of(
    engine: str,
    stack: ExitStack,
    folder: Path,
    environment: Mapping[str, str],
    *,
    of_raw: float,
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """Measure a worker process of an engine that has nothing to do."""
    words = ("-m", "failsoft.worker", engine, "default")
    worker = started(stack, folder, environment, engine, *words)
    wait_until(lambda: is_up(folder / f"{engine}.log"), PATIENCE, "it is up")
    idle_wait(worker)
    percent, wakes = idle(worker.pid, seconds)
    above = round(pss(worker.pid) - of_raw, 1)
    worker.kill()
    yield row(f"idle worker of {engine}, percent of a core", percent, [percent], IDLE_PERCENT)
    yield row(f"idle worker of {engine}, wake-ups a second", wakes, [wakes], WAKES)
    yield row(f"worker of {engine}, MB above raw RQ's", above, [above], ABOVE_RAW_MB)


def row(
    name: str, figure: float, spread: Sequence[float], limit: float | None = None
) -> dict[str, Any]:
    """Return a figure with its target, if it has one."""
    verdict = {"target": "", "met": None} if limit is None else at_most("", limit, figure)
    ends = [round(min(spread), 2), round(max(spread), 2)]
    return {"name": name, "figure": round(figure, 2), "spread": ends, **verdict}


def cpu_of(command: Sequence[str]) -> float:
    """Return the milliseconds of CPU that a command uses."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - one of ours
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used * 1000


def with_servers(folder: Path, stack: ExitStack) -> Mapping[str, str]:
    """Start Redis, RabbitMQ and a ledger; return the environment that leads to them."""
    url = f"sqlite:///{folder}/ledger.db"
    with closing(Database(url)) as database:
        upgrade(database)
    servers = [Valkey(made(folder / "valkey")), RabbitMQ(made(folder / "rabbitmq"))]
    for server in servers:
        server.start()
        stack.callback(server.stop)
    return {
        **os.environ,
        "FAILSOFT_LEDGER_URL": url,
        "FAILSOFT_ENGINES": ",".join(ENGINES),
        "REDIS_URL": servers[0].url,
        "AMQP_URL": servers[1].url,
    }


def started(
    stack: ExitStack, folder: Path, environment: Mapping[str, str], name: str, *words: str
) -> Process:
    """Start a Python; it is killed at the end."""
    log = folder / f"{name}.log"
    process = Process(sys.executable, *words, log=log, cwd=folder, env=dict(environment))
    stack.callback(process.kill)
    return process


def made(folder: Path) -> Path:
    """Return a folder, made."""
    folder.mkdir()
    return folder


def is_up(log: Path) -> bool:
    """Return whether a worker process has logged that it started."""
    return log.exists() and "worker.start" in log.read_text()


def idle_wait(process: Process) -> None:
    """Leave a process alone until what it does at its start is over."""
    time.sleep(SETTLE_SECONDS)
    if not psutil.pid_exists(process.pid):
        raise AssertionError("expected a process that waits, got one that has ended")


def idle(pid: int, seconds: float) -> tuple[float, float]:
    """Return the percentage of a core that a process uses, and how often its threads wake."""
    process, began_at = psutil.Process(pid), time.monotonic()
    before, slept = process.cpu_times(), sleeps(pid)
    time.sleep(seconds)
    after, lasted = process.cpu_times(), time.monotonic() - began_at
    used = after.user + after.system - before.user - before.system
    return used / lasted * 100, (sleeps(pid) - slept) / lasted


def sleeps(pid: int) -> int:
    """Return how often the threads of a process have gone to sleep by themselves."""
    statuses = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/status")]
    counts = [text.partition("voluntary_ctxt_switches:")[2].split()[0] for text in statuses]
    return sum(map(int, counts))


def pss(pid: int) -> float:
    """Return the proportional set size of a process in MB, without its children."""
    return round(float(psutil.Process(pid).memory_full_info().pss) / 2**20, 1)


if __name__ == "__main__":
    main()
