"""How long ended jobs stay in the ledger."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long ended jobs stay in the ledger.

    Attributes:
        age: Jobs that ended longer ago may be pruned.
        count: Jobs beyond the newest `count` of a definition may be pruned; None sets no limit.
    """

    age: timedelta
    count: int | None = None


KEEP_SUCCEEDED = Retention(age=timedelta(hours=24), count=1000)
KEEP_FAILED = Retention(age=timedelta(days=7))
