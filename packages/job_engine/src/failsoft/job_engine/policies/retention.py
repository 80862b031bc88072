"""How long ended jobs stay in the ledger."""

from dataclasses import dataclass
from datetime import timedelta

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.validation import Expect

_EXPECT = Expect(DefinitionError, "retention: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long ended jobs stay in the ledger.

    Attributes:
        age: Jobs that ended longer ago may be pruned.
        count: Jobs beyond the newest `count` of a definition may be pruned; None sets no limit.
    """

    age: timedelta
    count: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would keep nothing that makes sense."""
        _EXPECT.span("an age", self.age, zero=True)
        if self.count is not None:
            _EXPECT.whole("a count", self.count, least=0)


#: How long a key is remembered from its dispatch on, and at least as long as its job is there.
IDEMPOTENCY_FOR = timedelta(days=7)
KEEP_SUCCEEDED = Retention(age=timedelta(hours=24), count=1000)
KEEP_FAILED = Retention(age=timedelta(days=7))
