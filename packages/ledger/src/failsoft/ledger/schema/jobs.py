"""The table of the jobs: the only authority over each."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    literal_column,
    or_,
    text,
)

from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.timestamps import Instant
from failsoft.ledger.schema.columns import (
    CLUSTERED,
    JOB_ID,
    KEY,
    NAME,
    PREFIX,
    SHORT,
    count,
    metadata,
)

jobs: Table = Table(
    f"{PREFIX}jobs",
    metadata,
    Column("id", JOB_ID, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("queue", SHORT, nullable=False),
    Column("state", String(16), nullable=False),
    Column("engine", SHORT),
    # The fencing token: the epoch of the newest offer, and the claim of it (rules 5 and 7).
    count("epoch"),
    Column("claim_id", SHORT),
    # Grows with every renewal, so that a rescuer's stale look cannot win (R16).
    count("revision"),
    Column("payload", Text, nullable=False),
    Column("payload_sha", SHORT, nullable=False),
    Column("idempotency_key", KEY),
    count("priority"),
    Column("engines", Text, nullable=False, server_default="[]"),
    Column("tags", Text, nullable=False, server_default="[]"),
    count("claims"),
    count("errors"),
    count("crashes"),
    count("releases"),
    count("handoffs"),
    count("pickups_missed"),
    count("events"),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("result", Text),
    Column("error", Text),
    # How far the job has come, in its own words.
    Column("progress", Text),
    # What the end of the job sets off; most have nothing.
    Column("follow_ups", Text),
    # The job or the group whose end lets it start; it has no time until then.
    Column("waits_for", JOB_ID),
    # The topic that wakes it before its time, the job that invoked it, and how deep that goes.
    Column("awaits", SHORT),
    Column("parent_id", JOB_ID),
    count("depth"),
    Column("lease_us", BigInteger),
    Column("created_at", Instant, nullable=False),
    Column("run_at", Instant),
    Column("pickup_by", Instant),
    # Until when a worker that took the offer from here has it to itself; most engines use none.
    Column("taken_until", Instant),
    Column("lease_until", Instant),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    # By when it must have begun; NULL for a job that may begin at any time.
    Column("expires_at", Instant),
    # How long its idempotency key, or the id that the caller gave it, is remembered at least.
    Column("key_until", Instant),
    # What no other job of its name may hold, for as long as the scope says.
    Column("unique_key", SHORT),
    Column("unique_scope", String(16)),
    Column("unique_until", Instant),
    # How many with its key may run at once, and how many may begin within a period (I12).
    Column("concurrency_key", SHORT),
    Column("concurrency_limit", Integer),
    Column("rate_key", SHORT),
    Column("rate_limit", Integer),
    Column("rate_period", BigInteger),
    # The ended job whose work this one does again, and whose idempotency keys it goes on with.
    Column("retry_of", JOB_ID),
    Column("idempotency_root", JOB_ID),
    # Of the payload; a worker whose definition is older leaves it to another.
    Column("version", Integer, nullable=False, server_default=text("1")),
    # Its first events; NULL where all of them are rows of their own (see `packed_events`).
    Column("history", Text),
    # The trace that its dispatch belongs to, as W3C Trace Context has it: JSON.
    Column("trace_context", Text),
    **CLUSTERED,
)


def _partial(
    name: str, condition: str, *columns: str | ColumnElement[Any], unique: bool = False
) -> None:
    where = text(condition)
    Index(
        f"ix_{PREFIX}jobs_{name}",
        *(jobs.c[column] if isinstance(column, str) else column for column in columns),
        unique=unique,
        sqlite_where=where,
        postgresql_where=where,
    )


_partial("key", "idempotency_key IS NOT NULL", "name", "idempotency_key", unique=True)
#: Whether a job holds its unique key; one that is not held blocks no job. A key for a period
#: is held until a dispatch with it finds that its time is over: no index depends on time.
UNIQUE_HELD = (
    "unique_key IS NOT NULL AND (unique_scope = 'period'"
    " OR (unique_scope = 'incomplete' AND finished_at IS NULL)"
    " OR (unique_scope = 'unbegun' AND started_at IS NULL AND finished_at IS NULL))"
)
_partial("unique", UNIQUE_HELD, "name", "unique_key", unique=True)
LIMIT_COLUMNS = (
    "concurrency_key",
    "concurrency_limit",
    "rate_key",
    "rate_limit",
    "rate_period",
)
#: Whether a job is under any limit; nearly none is.
IS_LIMITED = or_(jobs.c.concurrency_key.is_not(None), jobs.c.rate_key.is_not(None))
#: Whether a job's end sets nothing off: no job follows it, and none waits for it.
IS_ALONE = and_(jobs.c.follow_ups.is_(None), jobs.c.parent_id.is_(None))
_UNDER_LIMITS = "(concurrency_key IS NOT NULL OR rate_key IS NOT NULL)"
_partial("limited", f"state = 'scheduled' AND {_UNDER_LIMITS}", "run_at")
for _key in ("concurrency_key", "rate_key"):
    _partial(_key, f"{_key} IS NOT NULL AND finished_at IS NULL", _key, "state")
#: What waits at an engine, in the order in which it was offered there.
_partial("pickups", "state = 'offered'", "engine", "queue", "pickup_by")
#: For an engine whose offers are taken from here, in the order in which its workers take them.
_partial(
    *("offered", "state = 'offered'"),
    *("engine", "queue", jobs.c.priority.desc(), "created_at"),
)
_partial(
    "expiring",
    "expires_at IS NOT NULL AND started_at IS NULL AND finished_at IS NULL",
    "expires_at",
)
_partial("awaiting", "awaits IS NOT NULL", "awaits")
_partial("ended", "finished_at IS NOT NULL", "name", "state", "finished_at")
_partial("retry_of", "retry_of IS NOT NULL", "retry_of")
#: What is due, and whose that is.
_partial("due_of", "state = 'scheduled'", "run_at", "state", "queue", "engine")
#: For a scheduler: however many jobs are due, the first of each priority are found at once.
UNLIMITED = "state = 'scheduled' AND concurrency_key IS NULL AND rate_key IS NULL"
_partial("by_priority", UNLIMITED, "priority", "run_at", "queue", "name")
# The jobs of each state that few are in, for lists and counts: whatever those look at stands in the
# index. The state does, too, although the condition says it: SQLite reads the row for it otherwise.
for _state in ("scheduled", "offered", "running", "held", "failed", "cancelled"):
    _partial(
        *(f"in_{_state}", f"state = '{_state}'"),
        *("created_at", "state", "queue", "name", "engine"),
    )
_partial("dead", "state = 'failed'", "finished_at", "state", "queue", "name")
_partial("stopped", "state = 'cancelled'", "finished_at", "state", "queue", "name")
_partial("of_parent", "parent_id IS NOT NULL", "parent_id")
_partial("tagged", "tags <> '[]'", "created_at")
#: Whether a job is open and may run on some engines only.
IS_PINNED = "engines <> '[]' AND finished_at IS NULL"
_partial("pinned", IS_PINNED, "queue")
Index(f"ix_{PREFIX}jobs_newest", jobs.c.created_at)
#: For lists of a queue and of a name, too: there are few pairs of the two (see `roles.lists`).
Index(f"ix_{PREFIX}jobs_of_queue", jobs.c.queue, jobs.c.name, jobs.c.created_at)


def by_itself(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what is equal to a column of text and is in no index.

    Where few jobs are in a state, the index of those is to be gone through. SQLite would take the
    one of all jobs of a queue or a name, and read each of their rows for the state. PostgreSQL
    takes, as long as it has no statistics, an index of a state or of a queue for as good as the
    primary key, and reads all that is in it for each job that a statement names.
    """
    return column.concat(literal_column("''"))


def in_state(state: JobState) -> ColumnElement[bool]:
    """Say that a job is in a state, so that the index of its jobs is used."""
    # No parameter: a plan that is made once for all values would not know the index fits.
    return jobs.c.state == literal_column(f"'{state}'")
