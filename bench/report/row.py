"""A row of a benchmark's table: what was measured, its target, and whether the target was met.

Programs of this folder build their rows with `at_most` and `at_least` of the figures of each round;
`Row.as_dict` is what they print with `--json`, and `Row.of` reads it again.
"""

import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

#: From here on a figure is written without a fraction.
WHOLE = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its target.

    Attributes:
        name: What was measured, and beside what.
        target: What the figure is to reach, as `≤ 1.25x`; empty where nothing is promised.
        figure: The median of the rounds; None where it could not be measured.
        spread: The least and the greatest of the rounds.
        met: Whether the figure reaches the target; None without a target or a figure.
        unit: Of figure and spread: `x` for a ratio.
        ledger: `sqlite` or `postgresql`; empty where no ledger is involved.
        note: What a reader of the row must be told: why it has no figure, what a peer may lose.
        details: The absolute figures behind a ratio, by their names.
    """

    name: str
    target: str
    figure: float | None
    spread: Sequence[float]
    met: bool | None
    unit: str = "x"
    ledger: str = ""
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return a row that `as_dict` wrote, or a program that has fewer of its fields."""
        known = {name: value for name, value in row.items() if name in cls.__slots__}
        rest = {name: value for name, value in row.items() if name not in cls.__slots__}
        return cls(**{**known, "details": {**known.get("details", {}), **rest}})

    def as_dict(self) -> dict[str, Any]:
        """Return what stands in the JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bar:
    """What makes a row of a figure and the limit that it is to keep or to reach.

    Attributes:
        sign: Stands before the limit.
        holds: Tells whether a figure, given first, is within the limit.
    """

    sign: str
    holds: Callable[[float, float], bool]

    def __call__(
        self, name: str, limit: float, rounds: Sequence[float], unit: str = "x", **more: Any
    ) -> Row:
        """Return the row of a figure, from its value in each round."""
        row = plain(name, rounds, unit, **more)
        met = self.holds(statistics.median(rounds), limit)
        return replace(row, target=self.target(limit, unit), met=met)

    def target(self, limit: float, unit: str = "x") -> str:
        """Return the target as it is written."""
        return f"{self.sign} {limit:,g}{unit if unit in ('x', '%') else f' {unit}'}"


#: Of a figure that is to be small.
at_most = Bar("≤", operator.le)
#: Of a figure that is to be large.
at_least = Bar("≥", operator.ge)


def plain(name: str, rounds: Sequence[float], unit: str = "x", **more: Any) -> Row:
    """Return the row of a figure without a target, from its value in each round."""
    spread = [_rounded(min(rounds)), _rounded(max(rounds))]
    return Row(name, "", _rounded(statistics.median(rounds)), spread, None, unit, **more)


def missing(name: str, target: str, why: str, **more: Any) -> Row:
    """Return the row of a figure that could not be measured."""
    return Row(name, target, None, [], None, note=why, **more)


def _rounded(value: float) -> float:
    """Return three significant digits of a small figure, and a large one whole."""
    return round(value) if abs(value) >= WHOLE else float(f"{value:.3g}")
