"""Small charts as numbers for SVG attributes, so that no page needs a style of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 120
HEIGHT = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart, in its units."""

    x: float
    y: float
    width: float
    height: float


def bars(values: Sequence[int], width: int = WIDTH, height: int = HEIGHT) -> Sequence[Bar]:
    """Return a bar for each value; the highest has the whole height, and none is invisible."""
    top, step = max([1, *values]), width / max(1, len(values))
    found = []
    for place, value in enumerate(values):
        tall = max(1.5, height * value / top) if value else 0.0
        x = round(place * step, 2)
        found.append(Bar(x, round(height - tall, 2), round(step * 0.8, 2), round(tall, 2)))
    return found
