"""The tables that a console and an exporter read beside the jobs."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from failsoft.ledger.database.timestamps import Instant
from failsoft.ledger.schema.columns import JOB_ID, KEY, NAME, PREFIX, SHORT, count, metadata

#: What people did, each entry recorded in the transaction of the action.
audit: Table = Table(
    f"{PREFIX}audit",
    metadata,
    Column("id", SHORT, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("source", NAME, nullable=False),
    Column("action", String(32), nullable=False),
    Column("target_kind", String(16), nullable=False),
    Column("target", KEY, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default="{}"),
    Column("outcome", String(32), nullable=False),
)
Index(f"ix_{PREFIX}audit_at", audit.c.at, audit.c.id)
Index(f"ix_{PREFIX}audit_target", audit.c.target, audit.c.at)

#: What people may have to learn of; the id is made of its cause.
notices: Table = Table(
    f"{PREFIX}notices",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("engine", SHORT),
    Column("queue", SHORT),
    # No foreign key: it outlives the job.
    Column("job_id", JOB_ID),
    Column("detail", Text, nullable=False, server_default="{}"),
    Column("told_at", Instant),
)
Index(f"ix_{PREFIX}notices_at", notices.c.at, notices.c.id)
Index(
    f"ix_{PREFIX}notices_untold",
    notices.c.at,
    sqlite_where=text("told_at IS NULL"),
    postgresql_where=text("told_at IS NULL"),
)

#: What rules of notifications have told, and will tell together.
digests: Table = Table(
    f"{PREFIX}digests",
    metadata,
    Column("rule", SHORT, primary_key=True),
    Column("topic", NAME, primary_key=True),
    Column("until", Instant, nullable=False),
    count("count"),
    Column("first_at", Instant),
    Column("last_at", Instant),
    # JSON: the first notices that wait.
    Column("examples", Text, nullable=False, server_default="[]"),
)

#: A few figures of each minute.
samples: Table = Table(
    f"{PREFIX}samples",
    metadata,
    Column("minute", Instant, primary_key=True),
    Column("queue", SHORT, primary_key=True),
    Column("engine", SHORT, primary_key=True),
    Column("metric", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

#: Counters of what stands in no row, and the buckets of histograms; they only grow.
measures: Table = Table(
    f"{PREFIX}measures",
    metadata,
    Column("measure", String(32), primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("queue", SHORT, primary_key=True),
    Column("engine", SHORT, primary_key=True),
    # What else distinguishes them, as in `offer/accepted`; empty for nothing.
    Column("labels", NAME, primary_key=True),
    # The bucket, as in `0.25` or `+Inf`; `sum` for the sum in microseconds, empty for a counter.
    Column("le", String(16), primary_key=True),
    # Several rows for one counter, so that processes do not wait for one row.
    Column("shard", Integer, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

#: The breakers that are open, each in a process; no row for one that is closed.
breakers: Table = Table(
    f"{PREFIX}breakers",
    metadata,
    Column("boot_id", SHORT, primary_key=True),
    Column("engine", SHORT, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("seen_at", Instant, nullable=False),
)

#: Actions on all jobs that a filter chooses, and how far each has come.
bulks: Table = Table(
    f"{PREFIX}bulks",
    metadata,
    Column("id", SHORT, primary_key=True),
    Column("action", String(16), nullable=False),
    Column("filter", Text, nullable=False),
    Column("expected", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("source", NAME, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    count("done"),
    count("failed"),
    # The last job that a turn went through; NULL before the first.
    Column("cursor", Text),
    Column("at", Instant, nullable=False),
    Column("ended_at", Instant),
)
Index(f"ix_{PREFIX}bulks_at", bulks.c.at, bulks.c.id)
