"""What the code of the jobs did, written down outside the ledger."""

from collections import Counter, defaultdict

from tests.simulation.scheduler import TaskScheduler


class EffectLog:
    """Sees what the jobs do, and when, on the one clock that is right.

    Attributes:
        begun: How often the work of a step began, by job and step.
        ended: When it first ended.
        first: When anything of a job first ran.
        met: What the waits of a job came to, by job and step.
        given: The numbers of the orders that a job was given.
    """

    def __init__(self, scheduler: TaskScheduler) -> None:
        self.begun: Counter[tuple[str, str]] = Counter()
        self.ended: dict[tuple[str, str], float] = {}
        self.first: dict[str, float] = {}
        self.met: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.given: defaultdict[str, set[int]] = defaultdict(set)
        self._scheduler = scheduler

    def starts(self, job_id: str, number: int) -> None:
        """Note that an attempt of a job runs its code."""
        self.first.setdefault(job_id, self.now())
        self.given[job_id].add(number)

    def begins(self, job_id: str, step: str) -> None:
        """Note that the work of a step begins."""
        self.begun[job_id, step] += 1

    def ends(self, job_id: str, step: str) -> None:
        """Note that it ends."""
        self.ended.setdefault((job_id, step), self.now())

    def meets(self, job_id: str, step: str, what: str) -> None:
        """Note what a wait came to."""
        self.met[job_id, step].add(what)

    def now(self) -> float:
        """Return the seconds that have passed."""
        return self._scheduler.clock.steady()
