"""Parts of a page that are read by themselves, so that one that cannot be read hides no other."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from failsoft.job_engine.errors import LedgerUnavailableError

T = TypeVar("T")

#: So many last answers are remembered at most.
MOST_REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class Panel(Generic[T]):
    """What a panel shows.

    Attributes:
        value: What was read; None where nothing ever was.
        at: When that was.
        is_stale: Whether it is from before: the ledger does not answer now.
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
    """

    def __init__(self, answers: LastAnswers) -> None:
        self._answers = answers
        self.is_away: bool = False

    def read(self, key: Hashable, read: Callable[[], T]) -> Panel[T]:
        """Return what a panel shows now, or showed last.

        Args:
            key: What distinguishes it from every other panel, of every page.
            read: Reads it from the ledger.
        """
        if not self.is_away:
            try:
                panel = Panel(read(), datetime.now(UTC))
            except LedgerUnavailableError:
                self.is_away = True
            else:
                self._answers.keep(key, panel)
                return panel
        return self._answers.get(key)
