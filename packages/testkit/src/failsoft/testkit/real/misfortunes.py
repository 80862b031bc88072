"""Crash points and outages of the ledger, as they are set for one process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from failsoft.job_engine.crash_points import COMMITS, HOOKS
from failsoft.job_engine.errors import LedgerUnavailableError

#: In the place of one kind of call: any.
ANY = "any"
_BEFORE = tuple(f"{name}.before" for name in COMMITS)


@dataclass
class Misfortunes:
    """What happens at crash points; the same in the test's process and in workers.

    Attributes:
        die: Called with the point at which this process is to die.
        note_reached: Called with the point before it dies, or when a call of the ledger fails.
        crash: The point; None for none.
        away: How many calls of the ledger fail, by their kind.
    """

    die: Callable[[str], object]
    note_reached: Callable[[str], object] = lambda point: None
    crash: str | None = None
    away: dict[str, int] = field(default_factory=dict)

    def arm(self) -> None:
        """Let them happen in this process."""
        HOOKS.append(self.at)

    def disarm(self) -> None:
        """Let no more happen."""
        if self.at in HOOKS:
            HOOKS.remove(self.at)

    def given(self) -> Mapping[str, Any]:
        """Return what another process needs to have the same."""
        return {"crash": self.crash, "away": self.away}

    def take(self, crash: str | None, away: Mapping[str, int]) -> None:
        """Have what another process has."""
        self.crash, self.away = crash, dict(away)

    def note(self, point: str) -> None:
        """Count one that happened in another process."""
        if point == self.crash:
            self.crash = None
            return
        for kind in (point.partition(".")[0], ANY):
            if self.away.get(kind, 0) > 0:
                self.away[kind] -= 1
                return

    def at(self, point: str) -> None:
        """Be at a point.

        Raises:
            LedgerUnavailableError: The ledger is away there.
        """
        if point == self.crash:
            self.note(point)
            self.note_reached(point)
            self.die(point)
        kind = point.partition(".")[0]
        if point in _BEFORE and self.away.get(kind, 0) + self.away.get(ANY, 0) > 0:
            self.note(point)
            self.note_reached(point)
            raise LedgerUnavailableError(f"the ledger is away during {kind}: set by ledger_down")
