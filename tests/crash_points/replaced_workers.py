"""The processes of the matrix: workers of both engines that are replaced when they die."""

from pathlib import Path

import psutil

from tests.crash_points.cells import FOLDER, Cell
from tests.deployments.deployment import JOBS, PATIENCE, Deployment
from tests.servers.processes import Process, wait_until

CRASH_POINT_JOBS = f"{JOBS},tests.jobs.crash_point_jobs"
ENGINES = ("rq", "dramatiq")


class ReplacedWorkers:
    """Workers on the queue `threads`, and what else a scenario starts, with armed crash points."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self._folder = folder
        folder.mkdir()
        self._workers: dict[str, Process] = {}
        self.others: list[Process] = []

    def wait_until_live(self) -> None:
        """Wait until there is a live worker of each engine."""

        def all_live() -> bool:
            self.replace()
            return {each.pid for each in self._workers.values()} <= self.deployment.live_pids()

        wait_until(all_live, PATIENCE, "a live worker of each engine")

    def replace(self) -> None:
        """Start a worker in the place of each that has died."""
        for engine in ENGINES:
            known = self._workers.get(engine)
            if known is None or not known.is_running:
                self._workers[engine] = self._start("work", engine, "threads")

    def start_role(self, role: str, *words: str, **env: str) -> None:
        """Start a process that plays another role."""
        self.others.append(self._start(role, *words, **env))

    def arm(self, cell: Cell) -> None:
        (self._folder / f"{cell.name}.armed").touch()

    def hit_by(self, cell: Cell) -> psutil.Process | None:
        """Return the process that reached the point; None if none has, or it has ended."""
        found = [int(path.suffix[1:]) for path in self._traces(cell) if path.suffix[1:].isdigit()]
        return process_of(found[0]) if found else None

    def was_hit(self, cell: Cell) -> bool:
        return any(path.suffix[1:].isdigit() for path in self._traces(cell))

    def frozen(self) -> set[int]:
        """Return the processes that stood still for a while."""
        return {int(path.suffix[1:]) for path in self._folder.glob("*-stop.[0-9]*")}

    def let_go_on(self, cell: Cell) -> None:
        """End a halt or a hang."""
        for path in self._traces(cell):
            path.with_suffix(".go-on").touch()
        found = self.hit_by(cell)
        if cell.action == "stop" and found is not None:
            found.resume()

    def log_tails(self) -> str:
        """Return what the processes that began last have logged, the oldest first."""
        started = self.deployment.processes.started[-6:]
        return "\n".join(f"{each.name}:\n{each.output[-1500:]}" for each in started)

    def _traces(self, cell: Cell) -> list[Path]:
        return list(self._folder.glob(f"{cell.name}.*"))

    def _start(self, role: str, *words: str, **env: str) -> Process:
        env = {FOLDER: str(self._folder), "PYTHONUNBUFFERED": "1", **env}
        return self.deployment.processes.fork("tests.crash_points.roles", role, *words, env=env)


def process_of(pid: int) -> psutil.Process | None:
    """Return the process, or None if it has ended by now."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
