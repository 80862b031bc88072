"""One job, from its dispatch to its end: another engine loses it, and the engine carries it on.

Everything runs as a user runs it: the `failsoft` command, workers in processes of their own, a
SQLite ledger and real servers, all in one folder.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from failsoft.engine_api import EnginePlugin, KillOnExit
from failsoft.testing.engine_kit.promises import BenchFactory
from failsoft.testing.engine_suite.bench import eventually
from failsoft.testing.engine_suite.patience import patience

#: What the engine that loses the job is called; as an alias it takes no common variable.
FIRST = "first"
#: The engine that loses it where no other is named.
LOSING = "rq"
#: The job's steps, and how often the code of each runs: the third is cut off once.
STEPS: Mapping[str, int] = {"one": 1, "two": 1, "three": 2}

#: How long a command may take, in patiences: it starts Python, and may wait for the ledger.
COMMAND = 3
#: The states in which nothing more happens to it.
ENDS = ("succeeded", "failed", "held", "cancelled")

_COMMAND = (sys.executable, "-c", "from failsoft.worker.cli import main; main()")
_DIALS = {
    "FAILSOFT_LEASE": "3s",
    "FAILSOFT_WORKER_BEAT": "500ms",
    "FAILSOFT_WORKER_TTL": "3s",
    "FAILSOFT_MAINTENANCE_EVERY": "250ms",
    "FAILSOFT_PROBE_EVERY": "250ms",
    "FAILSOFT_MIN_OPEN": "1s",
    "FAILSOFT_DISPATCH_BUDGET": "5s",
    "FAILSOFT_SHUTDOWN_GRACE": "3s",
    "FAILSOFT_PRUNE": "off",
    "FAILSOFT_JOBS": "take_over_jobs",
    "PYTHONUNBUFFERED": "1",
}
#: Variables of the user's environment that are none of this job's.
_OTHERS = ("FAILSOFT_", "REDIS_", "AMQP_URL", "DATABASE_URL", "USE_RQ")
_JOBS = """
import time
from pathlib import Path

from pydantic import BaseModel

from failsoft.api import JobContext, job


class Nothing(BaseModel):
    pass


def note(step: str) -> None:
    with Path("effects").open("a") as effects:
        effects.write(f"{step}\\n")


def hang_at_first() -> None:
    note("three")
    if Path("effects").read_text().count("three") == 1:
        time.sleep(3600)


@job(queue="default", name="take-over")
def take_over(payload: Nothing, ctx: JobContext) -> str:
    ctx.run("one", note, "one")
    ctx.run("two", note, "two")
    ctx.run("three", hang_at_first)
    return "carried on"
"""


def take_over(
    name: str, make_bench: BenchFactory | None, folder: Path, losing: str = LOSING
) -> None:
    """Let an engine carry on a job that another one lost in its third step.

    Args:
        name: The engine, as it is installed.
        make_bench: Makes its bench, whose server and settings are used; None for the server that
            the engine starts itself.
        folder: An empty folder.
        losing: The engine that loses the job, with its worker and, where it has one, its server.

    Raises:
        AssertionError: It was not carried on after its last finished step, or not within the
            patience.
    """
    (folder / "take_over_jobs.py").write_text(_JOBS)
    with ExitStack() as stack:
        if make_bench is None:
            settings, _ = _started(name, folder / "second", stack)
        else:
            bench = stack.enter_context(closing(make_bench(folder / "bench")))
            settings = getattr(bench, "settings", {})
        settings_of_first, stop_first = _started(losing, folder / FIRST, stack)
        given = {FIRST: settings_of_first, name: settings}
        run = _Run(folder, _environment(folder, (f"{FIRST}={losing}", name), given))
        run.do("ledger", "upgrade")
        lost = stack.enter_context(run.worker(FIRST))
        stack.enter_context(run.worker(name))
        eventually(lambda: run.have_begun(FIRST, name), f"workers of {losing} and {name} begin")
        eventually(lambda: run.serve(FIRST, name), f"workers of {losing} and {name} serve")
        job_id = run.read("dispatch", "take-over", "{}")["id"]
        eventually(lambda: run.effects() == ["one", "two", "three"], "the third step has begun")
        _kill(lost)
        stop_first()
        eventually(lambda: run.state(job_id) in ENDS, "the job has ended")
        _check(run, job_id, name)


def _started(
    kind: str, folder: Path, stack: ExitStack
) -> tuple[Mapping[str, Any], Callable[[], object]]:
    """Start an engine's own server; return the settings that lead to it, and what stops it.

    An engine that has none is left as it is.
    """
    plugin = _plugin(kind)
    address = plugin.address(plugin.settings())
    if address is None:
        return {}, lambda: None
    server = plugin.embedded(folder, None)
    assert server is not None, (  # noqa: S101 - as a promise
        f"expected engine {kind} with a server that it starts itself, got none; run: "
        f"pip install 'failsoft-engine-{kind}[embedded]', or use another engine"
    )
    server.start()
    stack.callback(server.stop)
    return {address[0]: server.url}, server.stop


def _check(run: "_Run", job_id: str, name: str) -> None:
    report = run.read("jobs", "show", job_id)
    attempts, steps = report["attempts"], report["steps"]
    found = {
        "state": report["job"]["state"],
        "engines": [attempt["engine"] for attempt in attempts],
        # Cut off, and not failed: an attempt that raised would be tried again, too.
        "outcomes": [attempt["outcome"] for attempt in attempts],
        "effects": {step: run.effects().count(step) for step in STEPS},
        "first two steps by attempt": {step["epoch"] for step in steps[:2]},
    }
    expected = {
        "state": "succeeded",
        "engines": [FIRST, name],
        "outcomes": ["recover", "succeed"],
        "effects": STEPS,
        "first two steps by attempt": {attempts[0]["epoch"]},
    }
    assert found == expected, f"expected {expected}, got {found}"  # noqa: S101 - as a promise
    verified = run.call("ledger", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr  # noqa: S101 - the same


class _Run:
    """The `failsoft` command in one folder and environment."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [*_COMMAND, *words],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=COMMAND * patience().total_seconds(),
            check=False,
        )

    def do(self, *words: str) -> str:
        ran = self.call(*words)
        said = f"failsoft {' '.join(words)} ended with {ran.returncode}: {ran.stderr}{ran.stdout}"
        assert ran.returncode == 0, said  # noqa: S101 - as a promise
        return ran.stdout

    def read(self, *words: str) -> Any:
        return json.loads(self.do(*words, "--json"))

    def have_begun(self, *engines: str) -> bool:
        # Read first: a command takes longer than a look into a file.
        logs = [self._folder / f"{engine}.log" for engine in engines]
        return all("begins to serve" in log.read_text(errors="replace") for log in logs)

    def serve(self, *engines: str) -> bool:
        rows = self.read("engines")
        live = {row["engine"] for row in rows if row["queue"] == "default" and row["workers"]}
        return live.issuperset(engines)

    def state(self, job_id: str) -> str:
        return str(self.read("jobs", "show", job_id)["job"]["state"])

    def effects(self) -> Sequence[str]:
        path = self._folder / "effects"
        return path.read_text().split() if path.exists() else []

    @contextmanager
    def worker(self, engine: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the workers of an engine, which end with the block or with this process."""
        switch = KillOnExit()
        with (self._folder / f"{engine}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*_COMMAND, "worker", engine, "--queue", "default"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        switch.watch(process.pid)
        try:
            yield process
        finally:
            _stop(process)
            switch.release()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(patience().total_seconds())
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _plugin(kind: str) -> EnginePlugin[Any]:
    found = [each for each in entry_points(group="failsoft.engines") if each.name == kind]
    assert found, f"expected an engine that is installed, got {kind}"  # noqa: S101 - as a promise
    plugin: EnginePlugin[Any] = found[0].load()
    return plugin


def _environment(
    folder: Path, engines: Sequence[str], given: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, str]:
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
    ours = {
        _variable(engine, field): value if isinstance(value, str) else json.dumps(value)
        for engine, settings in given.items()
        for field, value in settings.items()
    }
    return {
        **theirs,
        **_DIALS,
        **ours,
        "FAILSOFT_ENGINES": ",".join(engines),
        "FAILSOFT_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
    }


def _variable(engine: str, field: str) -> str:
    return f"FAILSOFT_{engine}_{field}".replace("-", "_").upper()
