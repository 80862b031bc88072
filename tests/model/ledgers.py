"""Ledgers full of sound jobs of every kind, as large as wanted.

    python -m tests.model.ledgers sqlite:////tmp/ledger.db 270000

makes one of about a million events, for `failsoft ledger verify` to be measured with.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from typing import Any

from sqlalchemy import Connection, Table, insert

from failsoft.job_engine.invariants import History, history_of
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import RETRY, STOP, SUCCEED, SUSPEND, JobState
from failsoft.ledger import Database
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, events, steps
from failsoft.ledger.transitions import counters
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite import fixtures

MINUTE = timedelta(minutes=1)
#: How many jobs one transaction inserts.
BATCH = 500

Rows = Mapping[Table, list[dict[str, Any]]]


def fill(database: Database, count: int) -> int:
    """Record so many jobs, each with one of the stories, and return how many events they have."""
    histories = [tell(story) for story in STORIES]
    written, every = 0, enumerate(islice(cycle(histories), count))
    while some := list(islice(every, BATCH)):
        batch: Rows = {table: [] for table in (jobs, events, attempts, steps)}
        for place, history in some:
            _note(batch, history, job_id(place))
        written += len(batch[events])
        database.write(partial(_insert, batch), limit=database.at_length)
    return written


def job_id(place: int) -> str:
    # Neither in the order of insertion nor in that of a dictionary, as real ids are.
    return f"{(place * 2_654_435_761) % 2**32:08x}-{'aZ_0'[place % 4]}"


def tell(story: "Story") -> History:
    """Let a story happen in a ledger in memory."""
    clock = FrozenClock()
    ledger = MemoryLedger(clock, "host:1")

    def later(span: timedelta = MINUTE) -> None:
        clock.advance(span)

    return history_of(ledger, story(ledger, later))


Story = Callable[[MemoryLedger, Callable[[], None]], str]


def _plain(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    claim = fixtures.started(ledger)
    later()
    ledger.conclude(claim, fixtures.SUCCESS)
    return claim.job_id


def _retried(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    claim = fixtures.started(ledger)
    later()
    ledger.conclude(claim, Conclusion(RETRY, error=fixtures.ERROR, reason="ValueError"))
    later()
    return _finish(ledger, fixtures.claimed(ledger, fixtures.reoffered(ledger, claim.job_id)))


def _handed_over(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    claim = fixtures.started(ledger)
    ledger.record(claim, fixtures.step("fetch", 0))
    later()
    second = fixtures.taken_over(ledger, claim)
    later()
    ledger.record(second, fixtures.step("send", 1))
    return _finish(ledger, second)


def _slept(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    claim = fixtures.started(ledger)
    nap = StepRecord("nap", 0, StepKind.SLEEP, '"for 0:01:00"')
    ledger.conclude(claim, Conclusion(SUSPEND, delay=MINUTE, step=nap))
    later()
    return _finish(ledger, fixtures.claimed(ledger, fixtures.reoffered(ledger, claim.job_id)))


def _stopped(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    claim = fixtures.started(ledger)
    ledger.cancel(claim.job_id, "somebody")
    later()
    ledger.record(claim, fixtures.step())
    ledger.conclude(claim, Conclusion(STOP))
    return claim.job_id


def _never_started(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    job = fixtures.waiting(ledger)
    later()
    ledger.cancel(job.id, "somebody")
    return job.id


def _running(ledger: MemoryLedger, later: Callable[[], None]) -> str:
    later()
    return fixtures.started(ledger).job_id


def _finish(ledger: MemoryLedger, claim: Claim) -> str:
    ledger.conclude(claim, Conclusion(SUCCEED, result="null"))
    return claim.job_id


STORIES: Sequence[Story] = (
    _plain,
    _plain,
    _retried,
    _handed_over,
    _plain,
    _slept,
    _stopped,
    _never_started,
    _plain,
    _running,
)


def _note(batch: Rows, history: History, new_id: str) -> None:
    batch[jobs].append(_job_row(history, new_id))
    for table, records in (
        (events, history.events),
        (attempts, history.attempts),
        (steps, history.steps),
    ):
        batch[table] += [{**_columns(table, asdict(r)), "job_id": new_id} for r in records]


def _job_row(history: History, new_id: str) -> dict[str, Any]:
    row = _columns(jobs, asdict(replace(history.job, error=None, engines=(), tags=())))
    lease = 60_000_000 if history.job.state is JobState.RUNNING else None
    kept = {"id": new_id, "engines": "[]", "tags": "[]", "lease_us": lease}
    return {**row, **kept, "events": len(history.events)}


def _columns(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    # What is no single value is kept as JSON.
    as_text = {name: json.dumps(each) for name, each in values.items() if isinstance(each, dict)}
    return {name: value for name, value in values.items() if name in table.c} | as_text


def _insert(batch: Rows, connection: Connection) -> None:
    for table, rows in batch.items():
        if rows:
            connection.execute(insert(table), rows)
    ended = [
        {"name": row["name"], "queue": row["queue"], "engine": "", "outcome": row["state"]}
        for row in batch[jobs]
        if row["finished_at"] is not None
    ]
    if ended:
        count = counters.count_end(connection.dialect.name)
        connection.execute(count, [{**each, "shard": 0} for each in ended])


def main() -> None:
    """Make a ledger."""
    url, count = sys.argv[1:]
    with closing(Database(url)) as database:
        upgrade(database)
        sys.stdout.write(f"{fill(database, int(count)):,} events\n")


if __name__ == "__main__":
    main()
