"""What goes wrong in a run, and how often; decided by its seed."""

import random
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class FaultRates:
    """The faults of one run, until it is calm.

    Attributes:
        severity: By how much everything is more frequent.
        seen: What has happened in the run: the sometimes-assertions.
        is_calm: Whether nothing goes wrong any more.
    """

    rng: random.Random
    severity: float = 1.0
    seen: Counter[str] = field(default_factory=Counter)
    is_calm: bool = False

    def strikes(self, chance: float) -> bool:
        """Decide whether something with this chance happens now."""
        return self.rng.random() < chance * self.severity and not self.is_calm

    def notice(self, what: str) -> None:
        """Note that something happened."""
        self.seen[what] += 1
