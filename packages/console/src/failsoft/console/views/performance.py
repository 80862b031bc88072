"""How long the jobs of a definition take and how many of them fail, from the measures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failsoft.job_engine.measuring import BOUNDS
from failsoft.job_engine.ports.measures import SUM, Figures, Series


@dataclass(frozen=True, slots=True)
class EnginePerformance:
    """What one engine has made of the jobs of a definition, since the first of them.

    Attributes:
        ended: How many ended there.
        failed: How many of them failed for good.
        half: Half of the attempts took no longer, in seconds: the bound of a bucket. None where
            none was measured, or where they took longer than the last bound.
        most: The same of 95 in a hundred.
    """

    engine: str
    ended: int
    failed: int
    half: float | None
    most: float | None

    @property
    def failed_share(self) -> float:
        """The failed of those that ended, in percent."""
        return 100 * self.failed / self.ended if self.ended else 0.0


def performance_of(name: str, figures: Figures) -> Sequence[EnginePerformance]:
    """Return a row for each engine that has ended or run a job of a definition, by name."""
    ended, failed = Counter[str](), Counter[str]()
    for each in figures.ended:
        if each.name == name:
            ended[each.engine] += each.count
            failed[each.engine] += each.count if each.outcome == "failed" else 0
    mine = {series: n for series, n in figures.counts.items() if series.name == name}
    runs = {series.engine for series in mine if series.measure == "run"}
    return [
        EnginePerformance(
            engine,
            ended[engine],
            failed[engine],
            quantile(_of(mine, engine), 0.5),
            quantile(_of(mine, engine), 0.95),
        )
        for engine in sorted({*ended, *runs})
    ]


def quantile(buckets: Mapping[str, int], share: float) -> float | None:
    """Return the bound of the bucket that a share of what was observed is within, in seconds."""
    total, seen = sum(buckets.values()), 0
    for bound in BOUNDS["run"]:
        seen += buckets.get(bound, 0)
        if total and seen >= share * total:
            return None if bound == "+Inf" else float(bound)
    return None


def _of(mine: Mapping[Series, int], engine: str) -> Mapping[str, int]:
    buckets = Counter[str]()
    for series, number in mine.items():
        if (series.measure, series.engine) == ("run", engine) and series.le != SUM:
            buckets[series.le] += number
    return buckets
