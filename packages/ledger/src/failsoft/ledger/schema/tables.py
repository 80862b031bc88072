"""The tables beside that of the jobs, as SQLAlchemy Core."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from failsoft.ledger.database.timestamps import Instant
from failsoft.ledger.schema.activity import (
    audit,
    breakers,
    bulks,
    digests,
    measures,
    notices,
    samples,
)
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
from failsoft.ledger.schema.jobs import jobs

#: `metadata` too: imported from here it has every table.
__all__ = [
    "aggregates",
    "attempts",
    "audit",
    "breakers",
    "bulks",
    "digests",
    "dispatch_attempts",
    "events",
    "groups",
    "info",
    "keys",
    "measures",
    "metadata",
    "notices",
    "outbox",
    "pauses",
    "pruned",
    "rate_starts",
    "receipts",
    "routes",
    "samples",
    "schedules",
    "sent_events",
    "signing_keys",
    "steps",
    "workers",
]

steps: Table = Table(
    f"{PREFIX}steps",
    metadata,
    Column("job_id", JOB_ID, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("result", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    # By the worker's steady clock; NULL where it is not known.
    Column("elapsed_us", BigInteger),
    UniqueConstraint("job_id", "seq"),
    **CLUSTERED,
)

#: Events that were sent, kept for the jobs that will wait for them.
sent_events: Table = Table(
    f"{PREFIX}sent_events",
    metadata,
    Column("id", JOB_ID, primary_key=True),
    Column("topic", SHORT, nullable=False),
    Column("name", NAME, nullable=False),
    Column("payload", Text, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
Index(f"ix_{PREFIX}sent_events_topic", sent_events.c.topic, sent_events.c.sent_at)
Index(f"ix_{PREFIX}sent_events_expires_at", sent_events.c.expires_at)

#: Which job has received which event; each of them receives it once.
receipts: Table = Table(
    f"{PREFIX}receipts",
    metadata,
    Column("job_id", JOB_ID, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("event_id", JOB_ID, primary_key=True),
    **CLUSTERED,
)

attempts: Table = Table(
    f"{PREFIX}attempts",
    metadata,
    Column("job_id", JOB_ID, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    # The primary key says it: an epoch is claimed at most once (I2).
    Column("epoch", Integer, primary_key=True),
    Column("claim_id", SHORT, nullable=False),
    Column("engine", SHORT, nullable=False),
    Column("worker", SHORT, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String(16)),
    # What it ended with; the newest one stands with the job, too.
    Column("error", Text),
    # Its trace, as `trace_context` of its job: the attempt after it links to it.
    Column("trace_context", Text),
    **CLUSTERED,
)

dispatch_attempts: Table = Table(
    f"{PREFIX}dispatch_attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", JOB_ID, ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("engine", SHORT, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(255), nullable=False, server_default=""),
    Column("elapsed_us", BigInteger, nullable=False, server_default=text("0")),
    Column("at", Instant, nullable=False),
    UniqueConstraint("job_id", "epoch", "engine", "stage"),
)

events: Table = Table(
    f"{PREFIX}events",
    metadata,
    Column("job_id", JOB_ID, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("detail", Text, nullable=False, server_default="{}"),
    **CLUSTERED,
)

workers: Table = Table(
    f"{PREFIX}workers",
    metadata,
    # A boot id and not a host name: a restarted worker is another one.
    Column("boot_id", SHORT, primary_key=True),
    Column("engine", SHORT, nullable=False),
    Column("queue", SHORT, nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("live_until", Instant, nullable=False),
    # What its process id is unique in, when the process began, and since when it is known dead.
    Column("machine", String(128)),
    Column("birth", String(128)),
    Column("died_at", Instant),
    # JSON: what the process says of itself, as `WorkerInfo` has it.
    Column("info", Text, nullable=False, server_default="{}"),
)

#: Queues, definitions and engines of which nothing begins.
pauses: Table = Table(
    f"{PREFIX}pauses",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("actor", NAME, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
)

#: The rules that share jobs among engines (rule 24).
routes: Table = Table(
    f"{PREFIX}routes",
    metadata,
    Column("kind", String(8), primary_key=True),
    # Empty for the default.
    Column("name", NAME, primary_key=True),
    # JSON: pairs of engine and weight in their order, the guard, the shares that it took away.
    Column("weights", Text, nullable=False),
    Column("guard", Text),
    Column("trips", Text, nullable=False, server_default="[]"),
    Column("actor", NAME, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    # When a process last looked at what its guard watches.
    Column("checked_at", Instant),
    count("revision"),
)

#: The keys, and the ids that callers gave, of jobs that are gone or about to go (decision 0028).
keys: Table = Table(
    f"{PREFIX}keys",
    metadata,
    # The job's name; empty where the key is a job's id.
    Column("scope", NAME, primary_key=True),
    Column("key", KEY, primary_key=True),
    # No foreign key: it outlives the job.
    Column("job_id", JOB_ID, nullable=False),
    Column("name", NAME, nullable=False),
    Column("queue", SHORT, nullable=False),
    Column("payload_sha", SHORT, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("expires_at", Instant, nullable=False),
    Column("remembered_at", Instant, nullable=False),
    **CLUSTERED,
)
Index(f"ix_{PREFIX}keys_expires_at", keys.c.expires_at)

#: The attempts that rate limits count; each is forgotten when none counts it any more.
rate_starts: Table = Table(
    f"{PREFIX}rate_starts",
    metadata,
    # No foreign key: it counts although its job may be pruned.
    Column("job_id", JOB_ID, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("key", SHORT, nullable=False),
    Column("at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    **CLUSTERED,
)
Index(f"ix_{PREFIX}rate_starts_key", rate_starts.c.key, rate_starts.c.at)
Index(f"ix_{PREFIX}rate_starts_expires_at", rate_starts.c.expires_at)

schedules: Table = Table(
    f"{PREFIX}schedules",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("spec", Text, nullable=False),
    # The specs it had before: an old process cannot bring one back while the new one is declared.
    Column("former", Text, nullable=False, server_default="[]"),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("declared_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("last_at", Instant),
    Column("last_job_id", JOB_ID),
    Column("skipped_at", Instant),
    Column("skip_reason", String(255)),
    # How many ticks in a row.
    count("skips"),
)

groups: Table = Table(
    f"{PREFIX}groups",
    metadata,
    Column("id", JOB_ID, primary_key=True),
    Column("sha", SHORT, nullable=False),
    Column("policy", String(16), nullable=False),
    Column("completion_id", JOB_ID),
    Column("completion_field", NAME),
    count("total"),
    count("succeeded"),
    count("failed"),
    count("cancelled"),
    Column("sealed", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
)
Index(f"ix_{PREFIX}groups_newest", groups.c.created_at, groups.c.id)

#: Counters that only grow, whatever is pruned; metrics come from them.
aggregates: Table = Table(
    f"{PREFIX}aggregates",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("queue", SHORT, primary_key=True),
    Column("engine", SHORT, primary_key=True),
    Column("outcome", String(16), primary_key=True),
    # Several rows for one counter, so that jobs which end together do not wait for one row.
    Column("shard", Integer, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

#: How many of the jobs that `aggregates` counts are gone.
pruned: Table = Table(
    f"{PREFIX}pruned",
    metadata,
    Column("state", String(16), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

signing_keys: Table = Table(
    f"{PREFIX}signing_keys",
    metadata,
    Column("kid", SHORT, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

#: Records for other systems, each of a step that was recorded with it (rule 28).
outbox: Table = Table(
    f"{PREFIX}outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", SHORT, nullable=False),
    Column("engine", SHORT, nullable=False),
    Column("topic", String(255), nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    # JSON: pairs of name and value in hexadecimal, in their order.
    Column("headers", Text, nullable=False, server_default="[]"),
    # No foreign key: it may have to outlive the job.
    Column("job_id", JOB_ID, nullable=False),
    Column("step", NAME, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("published_at", Instant),
    # Until when it is not tried again; NULL for one that was never refused.
    Column("due_at", Instant),
    count("refusals"),
    Column("error", Text),
    UniqueConstraint("id"),
)


def _of_outbox(name: str, condition: str, *columns: str) -> None:
    where = text(condition)
    Index(
        f"ix_{PREFIX}outbox_{name}",
        *(outbox.c[column] for column in columns),
        sqlite_where=where,
        postgresql_where=where,
    )


_of_outbox("waiting", "published_at IS NULL", "engine", "seq")
_of_outbox(
    *("refused", "published_at IS NULL AND due_at IS NOT NULL"),
    *("engine", "topic", "key", "seq"),
)
_of_outbox("published", "published_at IS NOT NULL", "published_at")

#: Facts about the ledger itself: the host of a SQLite file.
info: Table = Table(
    f"{PREFIX}info",
    metadata,
    Column("key", SHORT, primary_key=True),
    Column("value", Text, nullable=False),
)
