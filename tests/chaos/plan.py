"""What a run is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.system.brokers import DEFAULT_ENGINES
from tests.chaos.system.servers import LedgerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how hard, on what.

    Attributes:
        engines: In order of preference.
        load: For how long there is only work, in seconds.
        faults: For how long there are faults, too.
        rate: How many requests a second each dispatcher makes.
    """

    seed: str
    ledger: LedgerKind = "postgresql"
    engines: Sequence[str] = DEFAULT_ENGINES
    load: float = 5
    faults: float = 60
    rate: float = 3

    @property
    def name(self) -> str:
        """What a file with its outcome is called."""
        engines = () if self.engines == DEFAULT_ENGINES else self.engines
        return "-".join((self.ledger, *engines, self.seed))

    @property
    def drain(self) -> float:
        """Within how many seconds of the last request every job ends.

        The rescuer's patience with one offer doubles with each look, so that a job may wait as
        long again as it has waited in vain; on a busy machine, behind a backlog of the others.
        """
        return 120 + 2 * self.faults

    @property
    def least(self) -> Mapping[str, int]:
        """What a run must have seen to mean anything."""
        minutes = self.faults / 60
        return {
            "jobs": int(100 * minutes),
            "succeeded": int(60 * minutes),
            "hand-offs": int(10 * minutes),
            "stale messages refused": max(1, int(2 * minutes)),
            "kinds of nemesis": int(15 * min(1.0, minutes)),
        }

    @property
    def expects_everything(self) -> bool:
        """Return whether every deck is dealt, and every feature is met, at least once."""
        return self.faults >= 5 * 60
