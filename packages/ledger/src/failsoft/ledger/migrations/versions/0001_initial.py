"""The tables of the ledger."""

from typing import Any

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0001"
down_revision = None

# Of the same collation, for they are compared with each other.
ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
KEY = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
SHORT = sa.String(64)
NAME = sa.String(128)
TIME = sa.BigInteger()

JOBS = "failsoft_jobs"
_UNDER_LIMITS = "(concurrency_key IS NOT NULL OR rate_key IS NOT NULL)"
_UNIQUE_HELD = (
    "unique_key IS NOT NULL AND (unique_scope = 'period'"
    " OR (unique_scope = 'incomplete' AND finished_at IS NULL)"
    " OR (unique_scope = 'unbegun' AND started_at IS NULL AND finished_at IS NULL))"
)
#: Name, columns and condition of each index of the jobs.
_INDEXES: tuple[tuple[str, list[Any], str | None], ...] = (
    ("key", ["name", "idempotency_key"], "idempotency_key IS NOT NULL"),
    ("unique", ["name", "unique_key"], _UNIQUE_HELD),
    ("due", ["run_at"], "state = 'scheduled'"),
    ("limited", ["run_at"], f"state = 'scheduled' AND {_UNDER_LIMITS}"),
    (
        "concurrency_key",
        ["concurrency_key", "state"],
        "concurrency_key IS NOT NULL AND finished_at IS NULL",
    ),
    ("rate_key", ["rate_key", "state"], "rate_key IS NOT NULL AND finished_at IS NULL"),
    ("unclaimed", ["pickup_by"], "state = 'offered'"),
    ("offered", ["engine", "queue", sa.text("priority DESC"), "created_at"], "state = 'offered'"),
    ("running", ["id"], "state = 'running'"),
    (
        "expiring",
        ["expires_at"],
        "expires_at IS NOT NULL AND started_at IS NULL AND finished_at IS NULL",
    ),
    ("awaiting", ["awaits"], "awaits IS NOT NULL"),
    ("ended", ["name", "state", "finished_at"], "finished_at IS NOT NULL"),
    ("retry_of", ["retry_of"], "retry_of IS NOT NULL"),
    ("newest", ["created_at"], None),
)


def upgrade() -> None:
    _jobs()
    _of_jobs()
    _beside_jobs()
    _of_the_ledger()


def _jobs() -> None:
    _table(
        JOBS,
        sa.Column("id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("queue", SHORT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("engine", SHORT),
        _count("epoch"),
        sa.Column("claim_id", SHORT),
        _count("revision"),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_sha", SHORT, nullable=False),
        sa.Column("idempotency_key", KEY),
        _count("priority"),
        sa.Column("engines", sa.Text(), server_default="[]", nullable=False),
        sa.Column("tags", sa.Text(), server_default="[]", nullable=False),
        _count("claims"),
        _count("errors"),
        _count("crashes"),
        _count("releases"),
        _count("handoffs"),
        _count("pickups_missed"),
        _count("events"),
        sa.Column(
            "cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("progress", sa.Text()),
        sa.Column("follow_ups", sa.Text()),
        sa.Column("waits_for", ID),
        sa.Column("awaits", SHORT),
        sa.Column("parent_id", ID),
        _count("depth"),
        sa.Column("lease_us", sa.BigInteger()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("run_at", TIME),
        sa.Column("pickup_by", TIME),
        sa.Column("taken_until", TIME),
        sa.Column("lease_until", TIME),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("expires_at", TIME),
        sa.Column("key_until", TIME),
        sa.Column("unique_key", SHORT),
        sa.Column("unique_scope", sa.String(16)),
        sa.Column("unique_until", TIME),
        sa.Column("concurrency_key", SHORT),
        sa.Column("concurrency_limit", sa.Integer()),
        sa.Column("rate_key", SHORT),
        sa.Column("rate_limit", sa.Integer()),
        sa.Column("rate_period", sa.BigInteger()),
        sa.Column("retry_of", ID),
        sa.Column("idempotency_root", ID),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        key=["id"],
        clustered=True,
    )
    for name, columns, where in _INDEXES:
        is_unique = name in ("key", "unique")
        online.create_index(f"ix_{JOBS}_{name}", JOBS, columns, unique=is_unique, where=where)


def _of_jobs() -> None:
    _table(
        "failsoft_steps",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        _of_job("failsoft_steps"),
        sa.UniqueConstraint("job_id", "seq", name="uq_failsoft_steps_job_id_seq"),
        key=["job_id", "name"],
        clustered=True,
    )
    _table(
        "failsoft_receipts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        _of_job("failsoft_receipts"),
        key=["job_id", "event_id"],
        clustered=True,
    )
    _table(
        "failsoft_attempts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claim_id", SHORT, nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("worker", SHORT, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("outcome", sa.String(16)),
        sa.Column("error", sa.Text()),
        _of_job("failsoft_attempts"),
        key=["job_id", "epoch"],
        clustered=True,
    )
    _table(
        "failsoft_dispatch_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(255), server_default="", nullable=False),
        sa.Column("elapsed_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("at", TIME, nullable=False),
        _of_job("failsoft_dispatch_attempts"),
        sa.UniqueConstraint(
            "job_id",
            "epoch",
            "engine",
            "stage",
            name="uq_failsoft_dispatch_attempts_job_id_epoch_engine_stage",
        ),
        key=["id"],
    )
    _table(
        "failsoft_events",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        _of_job("failsoft_events"),
        key=["job_id", "n"],
        clustered=True,
    )


def _beside_jobs() -> None:
    _table(
        "failsoft_sent_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("topic", SHORT, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("sent_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        key=["id"],
    )
    online.create_index(
        "ix_failsoft_sent_events_expires_at", "failsoft_sent_events", ["expires_at"]
    )
    online.create_index(
        "ix_failsoft_sent_events_topic", "failsoft_sent_events", ["topic", "sent_at"]
    )
    _table(
        "failsoft_keys",
        sa.Column("scope", NAME, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("queue", SHORT, nullable=False),
        sa.Column("payload_sha", SHORT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("remembered_at", TIME, nullable=False),
        key=["scope", "key"],
        clustered=True,
    )
    online.create_index("ix_failsoft_keys_expires_at", "failsoft_keys", ["expires_at"])
    _table(
        "failsoft_rate_starts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("key", SHORT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        key=["job_id", "epoch"],
        clustered=True,
    )
    online.create_index(
        "ix_failsoft_rate_starts_expires_at", "failsoft_rate_starts", ["expires_at"]
    )
    online.create_index("ix_failsoft_rate_starts_key", "failsoft_rate_starts", ["key", "at"])
    _table(
        "failsoft_groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("sha", SHORT, nullable=False),
        sa.Column("policy", sa.String(16), nullable=False),
        sa.Column("completion_id", ID),
        sa.Column("completion_field", NAME),
        _count("total"),
        _count("succeeded"),
        _count("failed"),
        _count("cancelled"),
        sa.Column("sealed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        key=["id"],
    )
    _table(
        "failsoft_schedules",
        sa.Column("name", NAME, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("former", sa.Text(), server_default="[]", nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("declared_at", TIME, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("last_at", TIME),
        sa.Column("last_job_id", ID),
        sa.Column("skipped_at", TIME),
        sa.Column("skip_reason", sa.String(255)),
        key=["name"],
    )
    _table(
        "failsoft_pauses",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("since", TIME, nullable=False),
        key=["kind", "name"],
    )
    _table(
        "failsoft_routes",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("guard", sa.Text()),
        sa.Column("trips", sa.Text(), server_default="[]", nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME),
        sa.Column("checked_at", TIME),
        _count("revision"),
        key=["kind", "name"],
    )


def _of_the_ledger() -> None:
    _table(
        "failsoft_workers",
        sa.Column("boot_id", SHORT, nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("queue", SHORT, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("live_until", TIME, nullable=False),
        sa.Column("machine", NAME),
        sa.Column("birth", NAME),
        sa.Column("died_at", TIME),
        key=["boot_id"],
    )
    _table(
        "failsoft_aggregates",
        sa.Column("name", NAME, nullable=False),
        sa.Column("queue", SHORT, nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        key=["name", "queue", "engine", "outcome", "shard"],
    )
    _table(
        "failsoft_signing_keys",
        sa.Column("kid", SHORT, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("retired_at", TIME),
        key=["kid"],
    )
    _table(
        "failsoft_info",
        sa.Column("key", SHORT, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        key=["key"],
    )


def _table(name: str, *items: Any, key: list[str], clustered: bool = False) -> None:
    primary_key = sa.PrimaryKeyConstraint(*key, name=f"pk_{name}")
    options = {"sqlite_with_rowid": False} if clustered else {}
    online.create_table(name, *items, primary_key, **options)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def _of_job(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_job_id"
    return sa.ForeignKeyConstraint(["job_id"], [f"{JOBS}.id"], name=name, ondelete="CASCADE")
