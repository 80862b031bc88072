"""A ledger of so many finished jobs, written at once as dispatches and workers would leave it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from sqlalchemy import Connection, text

from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database
from failsoft.ledger.schema import packed_events

#: So many jobs a transaction.
AT_ONCE = 5_000
#: Of so many jobs one has the name, the queue, the tag or the state that hardly any has.
RARE = 100_000
#: In microseconds: how old the oldest job is, and how long one runs.
AGE, RUN = 40 * 86_400 * 1_000_000, 60_000

_WORKER = "9f1c2b7a4d5e6f70"
_CLAIM = "{claim}"


def _line(n: int, after: int, epoch: int, rest: str) -> str:
    return f"[{n},{after},{epoch},{rest}"


def _history(state: JobState, kind: str) -> str:
    offer = {"engine": "rq", "reason": "the first engine of its queue"}
    told = {"claim": _CLAIM, "engine": "rq"}
    return ",".join(
        [
            packed_events.first(JobState.OFFERED, "web-1:4711", offer),
            _line(2, 5_400, 1, packed_events.rest(JobState.RUNNING, "claim", _WORKER, told)),
            _line(3, 5_400 + RUN, 1, packed_events.rest(state, kind, _WORKER, {})),
        ]
    )


_SUCCEEDED, _FAILED = (
    _history(JobState.SUCCEEDED, "succeed"),
    _history(JobState.FAILED, "fail"),
)
#: Of a hundred jobs three have failed, of a thousand five were cancelled while they ran.
_STATE = (
    "CASE WHEN g % 100 < 3 THEN 'failed' WHEN g % 1000 = 500 THEN 'cancelled' ELSE 'succeeded' END"
)
_NAME = f"CASE WHEN g % {RARE} = 7 THEN 'rare_job' ELSE 'send_mail_' || (g % 5) END"
_QUEUE = f"CASE WHEN g % {RARE} = 8 THEN 'rare' WHEN g % 5 < 4 THEN 'default' ELSE 'bulk' END"
_TRANSITION = "CASE WHEN g % 100 < 3 THEN 'fail' WHEN g % 1000 = 500 THEN 'stop' ELSE 'succeed' END"


@dataclass(frozen=True, slots=True)
class _Sql:
    """What the databases write in different ways."""

    series: str
    id: str
    hash: str


_SQL = {
    "sqlite": _Sql(
        "WITH RECURSIVE s(g) AS (SELECT :first UNION ALL SELECT g + 1 FROM s WHERE g < :last)",
        "printf('%012x%020x', :begin / 1000 + g * :every / 1000, g)",
        "printf('%032x', g * 2654435761)",
    ),
    "postgresql": _Sql(
        "WITH s(g) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint)))",
        "lpad(to_hex(CAST(:begin / 1000 + g * :every / 1000 AS bigint)), 12, '0')"
        " || lpad(to_hex(g), 20, '0')",
        "lpad(to_hex(g * 2654435761), 32, '0')",
    ),
}


def _statements(sql: _Sql) -> Iterator[str]:
    at = "CAST(:begin + g * :every AS bigint)"
    error = """'{"type": "ValueError", "message": "no such user", "traceback": ""}'"""
    failed, succeeded = (
        "'" + line.replace(_CLAIM, f"' || {sql.hash} || '") + "'" for line in (_FAILED, _SUCCEEDED)
    )
    cancelled = succeeded.replace('"Ss"', '"Cx"')
    yield f"""
        INSERT INTO failsoft_jobs (id, name, queue, state, engine, epoch, revision, payload,
            payload_sha, idempotency_key, tags, claims, errors, events, result, error, created_at,
            started_at, finished_at, history)
        {sql.series}
        SELECT {sql.id},
            {_NAME}, {_QUEUE}, {_STATE}, 'rq', 1, 2,
            '{{"user_id":' || g || ',"email":"someone@example.org"}}', {sql.hash} || {sql.hash},
            CASE WHEN g % 100 = 1 THEN 'order-' || g END,
            CASE WHEN g % {RARE} = 9 THEN '["rare"]' WHEN g % 100 = 2 THEN '["eu"]' ELSE '[]' END,
            1, CASE WHEN g % 100 < 3 THEN 1 ELSE 0 END, 3,
            CASE WHEN {_STATE} = 'succeeded' THEN 'null' END,
            CASE WHEN g % 100 < 3 THEN {error} END,
            {at}, {at} + 5400, {at} + {5_400 + RUN},
            CASE WHEN g % 100 < 3 THEN {failed} WHEN g % 1000 = 500 THEN {cancelled}
                ELSE {succeeded} END
        FROM s"""  # noqa: S608 - of what stands above
    yield f"""
        INSERT INTO failsoft_attempts (job_id, epoch, claim_id, engine, worker, started_at,
            ended_at, outcome)
        {sql.series}
        SELECT {sql.id}, 1, {sql.hash}, 'rq', '{_WORKER}', {at} + 5400, {at} + {5_400 + RUN},
            {_TRANSITION}
        FROM s"""  # noqa: S608 - of what stands above
    yield f"""
        INSERT INTO failsoft_dispatch_attempts (job_id, epoch, engine, stage, outcome, reason,
            elapsed_us, at)
        {sql.series}
        SELECT {sql.id}, 1, 'rq', 'offer', 'accepted', '', 412, {at} + 900 FROM s"""  # noqa: S608 - of what stands above
    # With each part: to count a million at the end takes longer than a call may.
    yield f"""
        INSERT INTO failsoft_aggregates (name, queue, engine, outcome, shard, count)
        {sql.series}
        SELECT {_NAME}, {_QUEUE}, 'rq', {_STATE}, 0, count(*) FROM s WHERE true GROUP BY 1, 2, 4
        ON CONFLICT (name, queue, engine, outcome, shard)
        DO UPDATE SET count = failsoft_aggregates.count + excluded.count"""  # noqa: S608 - of what stands above


#: Jobs whose time has come, and that no scheduler has offered.
_DUE = """
    INSERT INTO failsoft_jobs (id, name, queue, state, epoch, payload, payload_sha, priority,
        events, created_at, run_at)
    {series}
    SELECT 'due-' || g, 'send_mail_0', 'default', 'scheduled', 0, '{{}}', '', g % 3, 1,
        CAST(:begin + g * :every AS bigint), CAST(:until + g AS bigint) FROM s
"""


def fill(database: Database, rows: int, now: int) -> Iterator[int]:
    """Write so many finished jobs; return how many there are by now, after each transaction.

    Args:
        database: An empty ledger.
        rows: How many.
        now: The moment that the newest ended, in microseconds since 1970.
    """
    begin, every = now - AGE, max(AGE // rows, 1)
    sql = _SQL[database.url.get_backend_name()]
    statements = [text(each) for each in _statements(sql)]
    for first in range(1, rows + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, rows)
        given = {"first": first, "last": last, "begin": begin, "every": every}

        def work(connection: Connection, given: dict[str, int] = given) -> None:
            for each in statements:
                connection.execute(each, given)

        database.write(work, limit=database.at_length)
        yield last


def add_due(database: Database, count: int, now: int, first: int = 1) -> None:
    """Record so many jobs whose time has come.

    Args:
        database: The ledger.
        count: How many.
        now: The moment that the newest was recorded, in microseconds since 1970.
        first: The number of the first of them; each is recorded once.
    """
    if count <= 0:
        return
    sql = _SQL[database.url.get_backend_name()]
    every = AGE // (first + count)
    given = {"begin": now - AGE, "every": every, "until": now - 60_000_000}
    statement = text(_DUE.format(series=sql.series))
    end = first + count
    for begin in range(first, end, 1_000):
        some = {**given, "first": begin, "last": min(begin + 1_000, end) - 1}
        database.write(lambda c, some=some: c.execute(statement, some), limit=database.at_length)


def settle(database: Database) -> int:
    """Do what the database does of itself in time; return how many bytes the ledger takes."""
    if database.is_sqlite:
        with closing(sqlite3.connect(str(database.url.database))) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(database.read(lambda c: c.execute(text(pages)).scalar_one()))
    vacuum(database, "VACUUM (ANALYZE, FREEZE)")
    size = "SELECT pg_database_size(current_database())"
    return int(database.read(lambda c: c.execute(text(size)).scalar_one()))


def vacuum(database: Database, how: LiteralString = "VACUUM") -> None:
    """Do what a PostgreSQL server does of itself whenever a part of a table is new."""
    plain = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as server:
        server.execute(how)
