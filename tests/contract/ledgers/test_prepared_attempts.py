"""What a process compiles ahead of the attempts that it forks is all that most of them execute."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from failsoft.job_engine.ports.measures import Batch, Series
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import RETRY
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database import compiled
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures

RETRIED = Conclusion(RETRY, error=fixtures.ERROR, reason="ValueError", delay=fixtures.LONG)
ENDS = [fixtures.SUCCESS, fixtures.FAILURE, RETRIED]


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        yield database


def perform(ledger: SqlLedger, claim: Claim, end: Conclusion) -> None:
    """Do what a short attempt does, and its process at its end."""
    step = StepRecord("charge", 0, StepKind.RUN, "7")
    assert not ledger.begin(claim, step.name, step.seq)
    ledger.record(claim, step)
    assert ledger.conclude(claim, end) is end.transition.target
    ledger.add_measures(Batch(f"of-{claim.job_id}", "", {Series("steps", claim.name): 1}))


def test_an_attempt_compiles_nothing_that_was_prepared(database: Database) -> None:
    ledger = SqlLedger(database)
    claims = [fixtures.started(ledger) for _ in ENDS]
    compiled._prepared_of.clear()  # as in a process that has just begun

    SqlLedger(Database(database.url.render_as_string(hide_password=False))).prepare_attempts()
    prepared = set(compiled._prepared_of)
    for claim, end in zip(claims, ENDS, strict=True):
        perform(ledger, claim, end)

    missed = [compiled._prepared_of[each]._text for each in set(compiled._prepared_of) - prepared]
    assert missed == []
    assert prepared


def test_ledgers_of_one_kind_share_what_is_compiled(database: Database) -> None:
    first = SqlLedger(database)
    perform(first, fixtures.started(first), fixtures.SUCCESS)
    known = set(compiled._prepared_of)

    with closing(Database(database.url.render_as_string(hide_password=False))) as again:
        second = SqlLedger(again)
        perform(second, fixtures.started(second), fixtures.SUCCESS)

    assert set(compiled._prepared_of) == known
