"""A time axis on which long spans are cut short, so that all that happened can be seen."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise

#: An idle span has at most this share of what was active, and a span that is no longer than a
#: moment so many units.
_IDLE_SHARE = 0.12
_LEAST_UNITS = 7.0
#: A busy span has at most this share of what all other busy spans have together.
_LONGEST = 0.6


class Scale:
    """Places moments on an axis.

    Attributes:
        breaks: Where spans were cut short: place and width.
    """

    def __init__(
        self,
        moments: Collection[datetime],
        active: Sequence[tuple[datetime, datetime]],
        left: float,
        width: float,
    ) -> None:
        """Lay the axis out.

        Args:
            moments: Everything that is to be told apart, the first and the last included.
            active: The spans in which something ran or waited at an engine.
            left: Where the axis begins.
            width: How wide it is.
        """
        self._moments = sorted(set(moments))
        spans = list(pairwise(self._moments))
        lengths = [(end - begin).total_seconds() for begin, end in spans]
        is_idle = [
            not any(since <= begin and end <= until for since, until in active)
            for begin, end in spans
        ]
        busy = sum(
            length for length, idle in zip(lengths, is_idle, strict=True) if not idle
        ) or sum(lengths)
        most = max(busy * _IDLE_SHARE, 1e-6)
        shown = [
            min(length, most if idle else max(1e-6, _LONGEST * (busy - length)) or length)
            for length, idle in zip(lengths, is_idle, strict=True)
        ]
        room = max(0.0, width - _LEAST_UNITS * len(spans))
        each = room / (sum(shown) or 1.0)
        self._places = [left]
        self.breaks: list[tuple[float, float]] = []
        for length, short in zip(lengths, shown, strict=True):
            begin = self._places[-1]
            self._places.append(begin + _LEAST_UNITS * min(1.0, width / 700) + short * each)
            if length > short * 1.5:
                self.breaks.append((begin, self._places[-1] - begin))

    def place(self, moment: datetime) -> float:
        """Return where a moment is; one beyond the ends is at the end."""
        at = bisect_right(self._moments, moment) - 1
        if at < 0:
            return self._places[0]
        if at >= len(self._moments) - 1:
            return self._places[-1]
        begin, end = self._moments[at], self._moments[at + 1]
        share = (moment - begin) / (end - begin)
        return self._places[at] + share * (self._places[at + 1] - self._places[at])

    def ticks(self, apart: float) -> Sequence[tuple[float, datetime]]:
        """Return places with their moments, at least so far apart."""
        found: list[tuple[float, datetime]] = []
        for place, moment in zip(self._places, self._moments, strict=True):
            if not found or place - found[-1][0] >= apart:
                found.append((place, moment))
        return found
