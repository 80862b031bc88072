"""All systems in turn, round after round, and the floors of each round."""

import math
import re
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress, TaskID

from bench.floors import Floors
from bench.peers.catalogue import WORKER, System
from bench.peers.environment import CannotInstallError
from bench.peers.running import BULK, Amounts, Figures, Running
from bench.servers import Servers

LANES, PICKUP, BULK_KIND, STEPS = "lanes", "pickup", "bulk", "steps"
#: What a comparison can measure.
KINDS = (LANES, PICKUP, BULK_KIND, STEPS)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: How often each system has its turn.
        amounts: What a turn has.
        bulk: Jobs of one bulk.
        floor_calls: Of each floor, in each round.
        kinds: Which of `KINDS`.
    """

    rounds: int = 5
    amounts: Amounts = field(default_factory=Amounts)
    bulk: int = 10_000
    floor_calls: int = 100
    kinds: Collection[str] = KINDS


QUICK = Plan(rounds=1, amounts=Amounts(0.4, 100, 12, 20), bulk=2_000, floor_calls=50)


class Comparison:
    """What was measured of each system, by rounds.

    Attributes:
        figures: Of each system, by its name, what each of its turns measured.
        bulks: The same of bulks.
        floors: What each round found of the floors, in microseconds.
        missing: Why a system has no figures, by its name.
    """

    def __init__(self) -> None:
        self.figures: dict[str, list[Figures]] = {}
        self.bulks: dict[str, list[Figures]] = {}
        self.floors: list[Mapping[str, float]] = []
        self.missing: dict[str, str] = {}

    def rounds(self, name: str, figure: str) -> Sequence[float]:
        """Return a figure of a system, one for each round; none where it was not measured."""
        turns = (self.bulks if figure == BULK else self.figures).get(name, ())
        return [turn[figure] for turn in turns if figure in turn]

    def median(self, name: str, figure: str) -> float | None:
        """Return the median of the rounds; None where it was not measured."""
        found = self.rounds(name, figure)
        return statistics.median(found) if found else None

    def floor(self, name: str) -> float:
        """Return the median of the rounds of a floor, in microseconds."""
        return statistics.median(each[name] for each in self.floors)


def compare(
    systems: Sequence[System], plan: Plan, *, folder: Path, progress: Progress
) -> Comparison:
    """Give each system its turns; one that cannot be installed, or fails, has none from then on."""
    found = Comparison()
    with ExitStack() as stack:
        servers = Servers(folder / "servers", stack)
        start = partial(_start, servers=servers, folder=folder, stack=stack)
        contest = _Contest(found, plan, start)
        contest.enter(systems, progress)
        floors = Floors(servers, folder, stack)
        task = progress.add_task("rounds", total=plan.rounds * contest.turns)
        for _ in range(plan.rounds):
            found.floors.append(floors.measure(plan.floor_calls))
            contest.round(progress, task)
    return found


class _Contest:
    """The systems that take part, and the turns of each in a round."""

    def __init__(
        self, found: Comparison, plan: Plan, start: Callable[[System, str], Running]
    ) -> None:
        self._found, self._plan, self._start = found, plan, start
        self._running: dict[str, Running] = {}
        self._bulk: dict[str, Running] = {}

    @property
    def turns(self) -> int:
        return len(self._running) + len(self._bulk)

    def enter(self, systems: Sequence[System], progress: Progress) -> None:
        """Install and start what enqueues for each system."""
        task = progress.add_task("installing", total=len(systems))
        for system in systems:
            progress.update(task, description=f"starting {system.name}")
            self._begin(system)
            progress.advance(task)
        progress.update(task, description="installed and started")

    def round(self, progress: Progress, task: TaskID) -> None:
        """Give each its turn."""
        for name, running in [*self._running.items()]:
            progress.update(task, description=name)
            self._turn(name, running)
            progress.advance(task)
        for name, running in self._bulk.items():
            progress.update(task, description=f"{name}, {self._plan.bulk:,} at once")
            self._found.bulks.setdefault(name, []).append(running.bulk(self._plan.bulk))
            progress.advance(task)

    def _begin(self, system: System) -> None:
        try:
            if {LANES, PICKUP, STEPS} & {*self._plan.kinds}:
                self._running[system.name] = self._start(system, "turns")
            if BULK_KIND in self._plan.kinds and _has_bulk(system):
                self._bulk[system.name] = self._start(system, "bulk")
        except (CannotInstallError, AssertionError) as error:
            self._leave_out(system.name, error)

    def _turn(self, name: str, running: Running) -> None:
        try:
            turn = running.turn(self._plan.amounts, self._plan.kinds)
        except AssertionError as error:
            self._leave_out(name, error)
        else:
            self._found.figures.setdefault(name, []).append(turn)

    def _leave_out(self, name: str, error: Exception) -> None:
        self._found.missing[name] = str(error)
        self._running.pop(name, None)
        self._bulk.pop(name, None)


def _start(
    system: System, purpose: str, *, servers: Servers, folder: Path, stack: ExitStack
) -> Running:
    name = re.sub(r"[^a-z0-9]+", "-", f"{purpose} {system.name}".lower())
    return Running(system, servers, folder / name, stack)


def _has_bulk(system: System) -> bool:
    """Return whether a system has a call for many; of one library's workers, one is enough."""
    return system.has_bulk and system.name != WORKER and system.processes == 1


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Sequence[float]:
    """Return the ratio of each round."""
    return [mine / other if other else math.inf for mine, other in zip(ours, theirs, strict=False)]


def described(found: Comparison, systems: Sequence[System]) -> list[dict[str, Any]]:
    """Return what the JSON says of each system: the median of each figure, least and greatest."""
    return [
        {
            "name": system.name,
            "packages": list(system.packages),
            "loses": system.loses,
            "missing": found.missing.get(system.name, ""),
            "figures": {
                name: _summary(found.rounds(system.name, name))
                for name in _names(found, system.name)
            },
        }
        for system in systems
    ]


def _names(found: Comparison, name: str) -> Sequence[str]:
    turns = [*found.figures.get(name, ()), *found.bulks.get(name, ())]
    return list(dict.fromkeys(each for turn in turns for each in turn))


def _summary(rounds: Sequence[float]) -> list[float]:
    """Return median, least and greatest."""
    return [float(f"{each:.4g}") for each in (statistics.median(rounds), min(rounds), max(rounds))]
