"""The ledger's time on the monotonic clock, although the ledger's clock is set while a run goes on.

An instant alone does not say by which clock it was written: one that was a minute ahead wrote what
the right one writes a minute later. So the clock of a run shows tens of microseconds, and the last
digit of each instant is a mark: of the right clock, of the one that is ahead, of the one that is
behind. It survives every span that is added, for all of them are whole milliseconds.

How far the clock jumps is no matter of taste. It has to leap over every lease, beat, pickup, delay,
wait and expiry of a run, which take seconds, and over the minute after which a tick counts as
missed (`LATENESS`) and a process believes its new clock (`GRACE`), with the longest that a jump
lasts. It must stay far below the hour before which nothing is pruned, and what the schedules have
made up for by a process that starts meanwhile (`missed="all"`) must stay a handful of ticks. And
while an offer of a clock that was ahead is looked into no sooner than that clock said, up to ten
minutes (docs/explain/clocks.md), a drain has to wait for as long as the jump is wide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOR_EVER = 1 << 62
#: By how much the ledger's clock and the effect log's may disagree, in microseconds.
TICK = 50_000
#: By how much the clock is set ahead and back.
JUMP = timedelta(seconds=75)
#: The last digit of an instant, and by how much the clock was ahead that wrote it.
RIGHT, AHEAD, BEHIND = 0, 1, 2
_OFFSETS: Mapping[int, timedelta] = {RIGHT: timedelta(0), AHEAD: JUMP, BEHIND: -JUMP}
_DIGITS = 10


def marked(mark: int) -> timedelta:
    """Return what a clock that shows tens of microseconds is set ahead by, with its mark."""
    return _OFFSETS[mark] + timedelta(microseconds=mark)


@dataclass(frozen=True, slots=True)
class Leap:
    """The clock was set: at some moment between these two, in microseconds.

    Attributes:
        mark: That of the clock from then on.
    """

    earliest: int
    latest: int
    mark: int


@dataclass(frozen=True)
class Timeline:
    """What an instant of the ledger is on the monotonic clock.

    Attributes:
        wall_minus_monotonic: What turns the one into the other while the ledger's clock is right.
        leaps: When it was set, in their order.
    """

    wall_minus_monotonic: int = 0
    leaps: Sequence[Leap] = ()

    def at(self, moment: datetime | None) -> int:
        """Return when the ledger wrote an instant; None is never."""
        if moment is None:
            return FOR_EVER
        return self.when_right(moment - marked(mark_of(moment)))

    def when_right(self, moment: datetime) -> int:
        """Return when it is this moment, by a clock that is right."""
        return _microseconds(moment - EPOCH) - self.wall_minus_monotonic

    def passed(self, since: int, span: int) -> int:
        """Return when a span is over at the earliest: a clock that leaps forward leaps over it."""
        over = since + span
        meanwhile = (
            each.earliest
            for each in self._forward()
            if each.latest >= since - TICK and each.earliest < over
        )
        return max(since, min(meanwhile, default=over))

    def first_told(self, moment: datetime) -> int:
        """Return when the ledger's clock showed a moment at the earliest."""
        right = self.when_right(moment)
        reading = [right]
        for leap, until in self._stays():
            then = right - _microseconds(_OFFSETS[leap.mark])
            if leap.mark == AHEAD and then <= until:
                reading.append(max(leap.earliest, then))
        return min(reading)

    def _forward(self) -> Iterator[Leap]:
        before = RIGHT
        for leap in self.leaps:
            if _OFFSETS[leap.mark] > _OFFSETS[before]:
                yield leap
            before = leap.mark

    def _stays(self) -> Iterator[tuple[Leap, int]]:
        """Return for each leap until when the clock may have stayed where it was set to."""
        yield from ((one, other.latest) for one, other in pairwise(self.leaps))
        yield from ((last, FOR_EVER) for last in self.leaps[-1:])


#: Of a clock that was never set.
STEADY = Timeline()


def mark_of(moment: datetime) -> int:
    """Return by which clock an instant was written."""
    mark = moment.microsecond % _DIGITS
    return mark if mark in _OFFSETS else RIGHT


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
