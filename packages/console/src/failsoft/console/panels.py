"""Parts of a page that are read by themselves, so that one that cannot be read hides no other."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Generic, TypeVar

from failsoft.job_engine.errors import LedgerUnavailableError

T = TypeVar("T")

#: So many last answers are remembered at most.
MOST_REMEMBERED = 128
#: How long the panels of a page are read, in seconds; the others show what they showed last.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Panel(Generic[T]):
    """What a panel shows.

    Attributes:
        value: What was read; None where nothing ever was.
        at: When that was.
        is_stale: Whether it is from before: the ledger does not answer now, or not in time.
    """

    value: T | None
    at: datetime | None
    is_stale: bool = False


class LastAnswers:
    """What panels showed last, for the time that the ledger is away; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Panel[Any]] = OrderedDict()

    def get(self, key: Hashable) -> Panel[Any]:
        """Return the last answer, stale; one without a value where there is none."""
        with self._lock:
            last = self._answers.get(key)
        return Panel(None, None, True) if last is None else Panel(last.value, last.at, True)

    def keep(self, key: Hashable, panel: Panel[Any]) -> None:
        """Remember an answer; the one that was not needed longest is forgotten for it."""
        with self._lock:
            self._answers[key] = panel
            self._answers.move_to_end(key)
            if len(self._answers) > MOST_REMEMBERED:
                self._answers.popitem(last=False)


class Panels:
    """The panels of one page.

    Attributes:
        is_away: Whether the ledger did not answer one of them; the others are not tried then,
            since each would wait as long.
        is_late: Whether those that were read took all the time that a page has for them.
    """

    def __init__(self, answers: LastAnswers, clock: Callable[[], float] = monotonic) -> None:
        """Begin with no panel.

        Args:
            answers: What panels showed last.
            clock: Returns the time in seconds.
        """
        self._answers = answers
        self._clock = clock
        self._until = clock() + PATIENCE
        self._stale: dict[Hashable, Panel[Any]] = {}
        self.is_away: bool = False
        self.is_late: bool = False

    def stale_beside(self, panel: Panel[Any] | None) -> Mapping[str, Panel[Any]]:
        """Return the panels that show what is from before, but for one, by their names."""
        return {
            str(key[0] if isinstance(key, tuple) else key).replace("-", " "): each
            for key, each in self._stale.items()
            if each is not panel
        }

    def read(self, key: Hashable, read: Callable[[], T]) -> Panel[T]:
        """Return what a panel shows now, or showed last.

        Args:
            key: What distinguishes it from every other panel, of every page.
            read: Reads it from the ledger.
        """
        self.is_late = self.is_late or self._clock() >= self._until
        if not self.is_away and not self.is_late:
            try:
                panel = Panel(read(), datetime.now(UTC))
            except LedgerUnavailableError:
                self.is_away = True
            else:
                self._answers.keep(key, panel)
                return panel
        last = self._stale[key] = self._answers.get(key)
        return last
