"""What two ledgers hold, compared without the code that copies; and a ledger of everything."""

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, MetaData, insert, select, text

from failsoft.job_engine.outbox import OutboxRecord
from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.records.job import DispatchTry, TryOutcome, WorkerRecord
from failsoft.job_engine.records.routing.rule import RouteRule
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.activity import (
    audit,
    breakers,
    bulks,
    digests,
    measures,
    notices,
    samples,
)
from failsoft.ledger.schema.tables import aggregates, keys, pruned, rate_starts
from failsoft.ledger.transitions.outbox import insert_records
from failsoft.testing.ledger_suite import fixtures
from tests.integration.related_jobs import everything_happens
from tests.model.ledgers import fill

#: The facts that are a database's own.
OWN = {"host"}
#: One a story of `tests.model.ledgers`, several times over.
STORIES = 40


def full_ledger(database: Database, stories: int = STORIES) -> dict[JobState, str]:
    """Fill every table, and return a job of each state."""
    ledger = SqlLedger(database, actor="a test")
    everything_happens(ledger)
    fill(database, stories)
    held = fixtures.started(ledger, lease=fixtures.LONG)
    ledger.conclude(held, fixtures.CONCLUSIONS[-1])
    found = {
        JobState.SCHEDULED: fixtures.waiting(ledger, idempotency_key="tomorrow", tags=("ä",)).id,
        JobState.OFFERED: fixtures.offered(ledger, payload='{"text": "日本 café %s \\u0000"}').id,
        JobState.RUNNING: half_done(ledger),
        JobState.HELD: held.job_id,
        **{state: fixtures.ended(ledger, state).job_id for state in fixtures.ENDINGS},
    }
    limited = fixtures.offered(
        ledger,
        limits=Limits(Limit("3" * 64, 3), Limit("9" * 64, 9, timedelta(hours=1))),
    )
    fixtures.claimed(ledger, limited)
    ledger.set_route(RouteRule("default", "", {"rq": 4, "kafka": 1}, "a test", reason="ä"))
    ledger.note_tries([(found[JobState.OFFERED], a_try())])
    ledger.beat(WorkerRecord("gone", "rq", "default", "elsewhere", 1, 4), timedelta(microseconds=1))
    database.write(_the_rest)
    assert {name for name, rows in contents(database).items() if not rows} == set()
    return found


def half_done(ledger: SqlLedger) -> str:
    """Let an attempt finish two steps, and leave it running."""
    claim = fixtures.started(ledger)
    ledger.record(claim, fixtures.step("fetch", 0))
    ledger.record(claim, fixtures.step("send", 1, '{"sent": [1, 2.5, null, true]}'))
    return claim.job_id


def a_try() -> DispatchTry:
    """Return a try to offer a job."""
    return DispatchTry("rq", 1, "offer", TryOutcome.ACCEPTED, elapsed=0.003)


def contents(database: Database) -> Mapping[str, list[str]]:
    """Return every row of every table as the driver returns it, in one order."""

    def read(connection: Connection) -> Mapping[str, list[str]]:
        found = MetaData()
        found.reflect(connection, only=lambda name, _: name.startswith("failsoft_"))
        return {
            name: sorted(
                json.dumps([_plain(value) for value in row])
                for row in connection.execute(select(*(table.c[n] for n in sorted(table.c.keys()))))
                if not (name == "failsoft_info" and OWN & set(map(str, row)))
            )
            for name, table in found.tables.items()
        }

    return database.read(read, limit=database.at_length)


def facts(database: Database) -> set[str]:
    """Return the facts that a ledger notes about itself."""
    statement = text("SELECT key FROM failsoft_info")
    return set(database.read(lambda c: c.execute(statement).scalars().all()))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return bool(value) if isinstance(value, bool) else value


def _the_rest(connection: Connection) -> None:
    moment = 1_700_000_000_123_457
    connection.execute(
        insert(keys).values(
            scope="send_welcome",
            key="long ago",
            job_id=secrets.token_hex(8),
            name="send_welcome",
            queue="default",
            payload_sha="5ad1",
            state="succeeded",
            created_at=moment,
            finished_at=None,
            expires_at=moment * 2,
            remembered_at=moment,
        )
    )
    connection.execute(
        insert(aggregates).values(
            name="send_welcome",
            queue="default",
            engine="rq",
            outcome="succeeded",
            shard=3,
            count=2**40,
        )
    )
    gone = {"state": "succeeded", "count": 2**40}
    connection.execute(insert(pruned).values(gone))
    record = OutboxRecord("kafka", "orders", b"\x00key", None, (("n", b"\xff"),))
    insert_records(connection, "gone", "send", [record])
    connection.execute(
        insert(rate_starts).values(job_id="gone", epoch=1, key="k", at=moment, expires_at=moment)
    )
    _what_is_shown(connection, moment)


def _what_is_shown(connection: Connection, moment: int) -> None:
    """Fill what only consoles and exporters read."""
    person = {"actor": "ada", "source": "cli ada", "reason": "ä"}
    act = {"id": "an-act", "action": "cancel", "target_kind": "job", "target": "gone"}
    connection.execute(insert(audit).values(at=moment, outcome="done", **act, **person))
    notice = {"id": "a-notice", "kind": "job.hold", "queue": "default", "job_id": "gone"}
    connection.execute(insert(notices).values(at=moment, **notice))
    waits = {"rule": "a-rule", "topic": "job.fail", "count": 2, "examples": '[{"id": "ä"}]'}
    connection.execute(insert(digests).values(until=moment, first_at=moment, **waits))
    sample = {"minute": moment, "queue": "default", "engine": "rq", "metric": "running"}
    connection.execute(insert(samples).values(value=2**40, **sample))
    series = {"measure": "run", "name": "send_welcome", "queue": "default", "engine": "rq"}
    cell = {"labels": "succeeded", "le": "+Inf", "shard": 3, "count": 2**40}
    connection.execute(insert(measures).values(**series, **cell))
    opened = {"boot_id": "gone", "engine": "rq", "since": moment, "reason": "refused"}
    connection.execute(insert(breakers).values(seen_at=moment, **opened))
    bulk = {"id": "a-bulk", "action": "cancel", "filter": "{}", "expected": 2, "state": "done"}
    connection.execute(insert(bulks).values(at=moment, ended_at=moment, **bulk, **person))
