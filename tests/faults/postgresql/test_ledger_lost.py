"""F34: a PostgreSQL that took over from another has lost its last commits; epochs go backwards."""

from contextlib import closing

import pytest

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.records.job import Claim, Conclusion, Ticket
from failsoft.job_engine.records.states import SUCCEED, JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from tests.faults.postgresql.lost_replies import LEASE, OTHER, STEP, LedgerCalls
from tests.servers.postgresql.postgres import Postgres

JOB = "restored"
OLDER = "an_older_copy"


@pytest.mark.fault("F34")
def test_an_epoch_that_is_given_twice_after_a_restore_has_one_authority(
    postgres: Postgres, postgres_url: str
) -> None:
    with closing(Database(postgres_url)) as database:
        upgrade(database)
        LedgerCalls(SqlLedger(database), JOB).record()
    copy = postgres.create_database(OLDER, template=postgres_url.rpartition("/")[2])
    try:
        with closing(Database(postgres_url)) as lost, closing(Database(copy)) as restored:
            assert_one_authority(SqlLedger(lost), SqlLedger(restored))
    finally:
        postgres.drop_database(OLDER)


def assert_one_authority(lost: SqlLedger, restored: SqlLedger) -> None:
    before, after = claim_second_epoch(lost, "a worker"), claim_second_epoch(restored, "another")
    assert before.epoch == after.epoch == 2

    for write in (
        lambda: restored.begin(before, "step", 0),
        lambda: restored.record(before, STEP),
        lambda: restored.conclude(before, Conclusion(SUCCEED, result='"stale"')),
    ):
        with pytest.raises(Fenced):
            write()
    assert restored.renew([before]) == []
    restored.record(after, STEP)
    assert restored.conclude(after, Conclusion(SUCCEED, result='"true"')) is JobState.SUCCEEDED
    assert restored.get(JOB).result == '"true"'


def claim_second_epoch(ledger: SqlLedger, worker: str) -> Claim:
    assert ledger.offer(ledger.get(JOB), OTHER) is not None
    ticket = Ticket(JOB, 2, "dramatiq", "default", worker, worker, LEASE)
    claim = ledger.claim(ticket)
    assert claim is not None
    return claim
