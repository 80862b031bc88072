"""The processes of the matrix: workers of both engines that are replaced when they die."""

import json
from itertools import count
from pathlib import Path

import psutil

from tests.crash_points.cells import FOLDER, Cell
from tests.deployments.deployment import JOBS, PATIENCE, Deployment
from tests.servers.processes import is_alive, wait_until

CRASH_POINT_JOBS = f"{JOBS},tests.jobs.crash_point_jobs"
ENGINES = ("rq", "dramatiq")


class ReplacedWorkers:
    """Workers on the queue `threads`, and whoever else a scenario needs, all of them armed."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self._folder = folder
        folder.mkdir()
        self._env = {FOLDER: str(folder), "PYTHONUNBUFFERED": "1"}
        self._numbers = count(1)
        deployment.processes.python("-m", "tests.crash_points.zygote", str(folder), env=self._env)
        self._workers: dict[str, psutil.Process] = {}
        self.others: list[psutil.Process] = []

    def start_worker(self) -> None:
        """Wait until there is a live worker of each engine."""

        def all_live() -> bool:
            self.replace()
            return {each.pid for each in self._workers.values()} <= self.deployment.live_pids()

        wait_until(all_live, PATIENCE, "a live worker of each engine")

    def replace(self) -> None:
        """Start a worker in the place of each that has died."""
        for engine in ENGINES:
            known = self._workers.get(engine)
            if known is None or not is_alive(known):
                self._workers[engine] = self._start_worker(engine)

    def start_role(self, role: str, *words: str, **env: str) -> None:
        """Start a process that plays another role; it may have played it by now."""
        actor = self._start(role, *words, **env)
        if actor is not None:
            self.others.append(actor)

    def arm(self, cell: Cell) -> None:
        (self._folder / f"{cell.name}.armed").touch()

    def hit_by(self, cell: Cell) -> psutil.Process | None:
        """Return who had the misfortune; None if nobody had, or nobody survived it."""
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

    def last_words(self) -> str:
        """Return what the processes that began last have logged, the oldest first."""
        logs = sorted(self._folder.glob("*.log"), key=lambda log: int(log.name.partition("-")[0]))
        ends = (f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in logs[-6:])
        return "\n".join(ends)

    def end(self) -> None:
        for each in (*self._workers.values(), *self.others):
            if is_alive(each):
                each.resume()

    def _traces(self, cell: Cell) -> list[Path]:
        return list(self._folder.glob(f"{cell.name}.*"))

    def _start_worker(self, engine: str) -> psutil.Process:
        # One that meets its misfortune at once is replaced by another.
        while (worker := self._start("work", engine, "threads")) is None:
            pass
        return worker

    def _start(self, role: str, *words: str, **env: str) -> psutil.Process | None:
        number = next(self._numbers)
        log = self._folder / f"{number}-{role}.log"
        wanted = {"role": role, "words": words, "env": env, "log": str(log)}
        order = self._folder / f"{number}.order"
        order.with_suffix(".draft").write_text(json.dumps(wanted))
        order.with_suffix(".draft").rename(order)

        def taken() -> list[Path]:
            found = self._folder.glob(f"{number}.*")
            return [path for path in found if path.suffix[1:].isdigit()]

        (path,) = wait_until(taken, PATIENCE, f"a process for {role} {words}")
        return process_of(int(path.suffix[1:]))


def process_of(pid: int) -> psutil.Process | None:
    """Return the process, or None if it has ended by now."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
