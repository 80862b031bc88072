"""Many failures on a real ledger are one message, and one digest after it."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from failsoft.dispatcher.maintenance.notifier import Notifier
from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.job_engine.policies.notifications import NotifyRule
from failsoft.job_engine.telemetry import ignore
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite.fixtures import FAILURE, claimed, new_job, plan
from failsoft.worker.notifications import Telegraph
from tests.servers.postgresql.database_clock import DatabaseClock

FAILURES, A_MINUTE, LOOKS = 500, timedelta(minutes=1), 10
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
RULE = NotifyRule(("job.fail",), "ops", every=timedelta(minutes=10))


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        yield database


def test_500_failures_in_a_minute_are_one_message_and_one_digest(database: Database) -> None:
    clock = DatabaseClock(database, NOON)
    ledger = SqlLedger(database)
    notifier = Notifier(ledger, [RULE], Telegraph(clock), listener=ignore)

    for _ in range(LOOKS):
        failing = [(new_job(), plan()) for _ in range(FAILURES // LOOKS)]
        for job, _ in ledger.record_jobs(failing):
            ledger.conclude(claimed(ledger, job), FAILURE)
        clock.advance(A_MINUTE / LOOKS)
        notifier.tick()
    for _ in range(3):
        clock.advance(RULE.every)
        notifier.tick()

    told = [json.loads(job.payload) for job in ledger.list_jobs(name=send_notification.name)]
    counts = sorted(each["count"] for each in told)
    assert counts == [FAILURES // LOOKS, FAILURES - FAILURES // LOOKS]
    assert {each["kind"] for each in told} == {"job.fail"}
    assert ledger.pending_notices().untold == []
