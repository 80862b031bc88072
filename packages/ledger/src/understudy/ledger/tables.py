"""The tables of the ledger, as SQLAlchemy Core."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from understudy.ledger.instants import Instant

#: Every table begins with this, so that the ledger may share a database with an application.
PREFIX = "understudy_"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

#: In SQLite a row stands in the index of its primary key: a commit writes a page less for it.
_CLUSTERED: Any = {"sqlite_with_rowid": False}

_job_id = String(64)
_short = String(64)
_name = String(128)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


jobs = Table(
    f"{PREFIX}jobs",
    metadata,
    Column("id", _job_id, primary_key=True),
    Column("name", _name, nullable=False),
    Column("queue", _short, nullable=False),
    Column("state", String(16), nullable=False),
    Column("engine", _short),
    # The fencing token: the epoch of the newest offer, and who claimed it (rules 5 and 7).
    _count("epoch"),
    Column("claim_id", _short),
    # Grows with every renewal, so that a rescuer's stale look cannot win (R16).
    _count("hb"),
    Column("payload", Text, nullable=False),
    Column("payload_sha", _short, nullable=False),
    Column("idempotency_key", String(255)),
    _count("priority"),
    Column("engines", Text, nullable=False, server_default="[]"),
    Column("tags", Text, nullable=False, server_default="[]"),
    _count("claims"),
    _count("errors"),
    _count("crashes"),
    _count("releases"),
    _count("handoffs"),
    _count("pickups_missed"),
    _count("events"),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("result", Text),
    Column("error", Text),
    # How far the job has come, in its own words.
    Column("progress", Text),
    # What the end of the job sets off; most have nothing.
    Column("sequel", Text),
    # The job or the group whose end lets it start; it has no time until then.
    Column("waits_for", _job_id),
    # What wakes it before its time, who invoked it, and how deep that goes.
    Column("awaits", _short),
    Column("parent_id", _job_id),
    _count("depth"),
    Column("lease_us", BigInteger),
    Column("created_at", Instant, nullable=False),
    Column("run_at", Instant),
    Column("pickup_by", Instant),
    Column("lease_until", Instant),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    # By when it must have begun; NULL for a job that may begin at any time.
    Column("expires_at", Instant),
    # What no other job of its name may hold, for as long as the scope says.
    Column("unique_key", _short),
    Column("unique_scope", String(16)),
    Column("unique_until", Instant),
    # The ended job whose work this one does again, and whose idempotency keys it goes on with.
    Column("origin", _job_id),
    Column("effects_of", _job_id),
    # Of the payload; a worker that knows only older ones leaves it to another.
    Column("version", Integer, nullable=False, server_default=text("1")),
    **_CLUSTERED,
)


def _partial(name: str, condition: str, *columns: str, unique: bool = False) -> None:
    where = text(condition)
    Index(
        f"ix_{PREFIX}jobs_{name}",
        *(jobs.c[column] for column in columns),
        unique=unique,
        sqlite_where=where,
        postgresql_where=where,
    )


_partial("key", "idempotency_key IS NOT NULL", "name", "idempotency_key", unique=True)
#: Whether a job holds its unique key; one that is not held blocks nobody. A key for a period is
#: held until somebody who wants it finds that its time is over, for no index knows the time.
UNIQUE_HELD = (
    "unique_key IS NOT NULL AND (unique_scope = 'period'"
    " OR (unique_scope = 'incomplete' AND finished_at IS NULL)"
    " OR (unique_scope = 'unbegun' AND started_at IS NULL AND finished_at IS NULL))"
)
_partial("unique", UNIQUE_HELD, "name", "unique_key", unique=True)
_partial("due", "state = 'scheduled'", "run_at")
_partial("unclaimed", "state = 'offered'", "pickup_by")
_partial("running", "state = 'running'", "id")
_partial(
    "expiring",
    "expires_at IS NOT NULL AND started_at IS NULL AND finished_at IS NULL",
    "expires_at",
)
_partial("awaiting", "awaits IS NOT NULL", "awaits")
_partial("ended", "finished_at IS NOT NULL", "name", "state", "finished_at")
_partial("origin", "origin IS NOT NULL", "origin")
Index(f"ix_{PREFIX}jobs_newest", jobs.c.created_at)

steps = Table(
    f"{PREFIX}steps",
    metadata,
    Column("job_id", _job_id, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", _name, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("result", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    UniqueConstraint("job_id", "seq"),
    **_CLUSTERED,
)

#: Events that somebody sent, kept for those who will wait for them.
sent_events = Table(
    f"{PREFIX}sent_events",
    metadata,
    Column("id", _job_id, primary_key=True),
    Column("topic", _short, nullable=False),
    Column("name", _name, nullable=False),
    Column("payload", Text, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
Index(f"ix_{PREFIX}sent_events_topic", sent_events.c.topic, sent_events.c.sent_at)
Index(f"ix_{PREFIX}sent_events_expires_at", sent_events.c.expires_at)

#: Which job has received which event; each of them receives it once.
receipts = Table(
    f"{PREFIX}receipts",
    metadata,
    Column("job_id", _job_id, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("event_id", _job_id, primary_key=True),
    **_CLUSTERED,
)

attempts = Table(
    f"{PREFIX}attempts",
    metadata,
    Column("job_id", _job_id, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    # The primary key says it: an epoch is claimed at most once (I2).
    Column("epoch", Integer, primary_key=True),
    Column("claim_id", _short, nullable=False),
    Column("engine", _short, nullable=False),
    Column("worker", _short, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String(16)),
    **_CLUSTERED,
)

dispatch_attempts = Table(
    f"{PREFIX}dispatch_attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", _job_id, ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("engine", _short, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(255), nullable=False, server_default=""),
    Column("elapsed_us", BigInteger, nullable=False, server_default=text("0")),
    Column("at", Instant, nullable=False),
    UniqueConstraint("job_id", "epoch", "engine", "stage"),
)

events = Table(
    f"{PREFIX}events",
    metadata,
    Column("job_id", _job_id, ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", _name, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("detail", Text, nullable=False, server_default="{}"),
    **_CLUSTERED,
)

workers = Table(
    f"{PREFIX}workers",
    metadata,
    # A boot id and not a host name: a restarted worker is another one.
    Column("boot_id", _short, primary_key=True),
    Column("engine", _short, nullable=False),
    Column("queue", _short, nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("live_until", Instant, nullable=False),
)

#: Queues and definitions of which nothing begins.
pauses = Table(
    f"{PREFIX}pauses",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", _name, primary_key=True),
    Column("actor", _name, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
)

schedules = Table(
    f"{PREFIX}schedules",
    metadata,
    Column("name", _name, primary_key=True),
    Column("spec", Text, nullable=False),
    # The specs it had before: an old process cannot bring one back while the new one is declared.
    Column("former", Text, nullable=False, server_default="[]"),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("declared_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("last_at", Instant),
    Column("last_job_id", _job_id),
    Column("skipped_at", Instant),
    Column("skip_reason", String(255)),
)

groups = Table(
    f"{PREFIX}groups",
    metadata,
    Column("id", _job_id, primary_key=True),
    Column("sha", _short, nullable=False),
    Column("policy", String(16), nullable=False),
    Column("completion_id", _job_id),
    Column("completion_field", _name),
    _count("total"),
    _count("succeeded"),
    _count("failed"),
    _count("cancelled"),
    Column("sealed", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
)

#: Counters that only grow, whatever is pruned; metrics come from them.
aggregates = Table(
    f"{PREFIX}aggregates",
    metadata,
    Column("name", _name, primary_key=True),
    Column("queue", _short, primary_key=True),
    Column("engine", _short, primary_key=True),
    Column("outcome", String(16), primary_key=True),
    # Several rows for one counter, so that jobs which end together do not wait for one row.
    Column("shard", Integer, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

signing_keys = Table(
    f"{PREFIX}signing_keys",
    metadata,
    Column("kid", _short, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

#: Facts about the ledger itself: the host of a SQLite file.
info = Table(
    f"{PREFIX}info",
    metadata,
    Column("key", _short, primary_key=True),
    Column("value", Text, nullable=False),
)
