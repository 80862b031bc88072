"""The counters of jobs that have ended and were pruned, beside the jobs that are there."""

from collections.abc import Iterator

from sqlalchemy import Connection

from failsoft.job_engine.invariants import Violation
from failsoft.ledger.transitions import counts

_RULE = "what has ended and was not pruned is there"


def at_odds(connection: Connection) -> Iterator[Violation]:
    """Find states of which more or fewer jobs were counted than there are."""
    for state, (counted, kept) in counts.at_odds(connection).items():
        found = f"{counted} {state} jobs by their counters, and {kept} rows"
        yield Violation(str(state), "counts", _RULE, found, about="state")
