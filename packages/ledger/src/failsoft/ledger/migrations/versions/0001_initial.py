"""The tables of the ledger."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0001"
down_revision = None


def upgrade() -> None:
    online.create_table(
        "failsoft_aggregates",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "name", "queue", "engine", "outcome", "shard", name="pk_failsoft_aggregates"
        ),
    )
    online.create_table(
        "failsoft_info",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_failsoft_info"),
    )
    online.create_table(
        "failsoft_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("claim_id", sa.String(length=64), nullable=True),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_sha", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("engines", sa.Text(), server_default="[]", nullable=False),
        sa.Column("tags", sa.Text(), server_default="[]", nullable=False),
        sa.Column("claims", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("errors", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("releases", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("handoffs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("pickups_missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("events", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("lease_us", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=True),
        sa.Column("pickup_by", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_failsoft_jobs"),
        sqlite_with_rowid=False,
    )
    online.create_index(
        "ix_failsoft_jobs_key",
        "failsoft_jobs",
        ["name", "idempotency_key"],
        unique=True,
        where="idempotency_key IS NOT NULL",
    )
    online.create_index(
        "ix_failsoft_jobs_due",
        "failsoft_jobs",
        ["run_at"],
        where="state = 'scheduled'",
    )
    online.create_index(
        "ix_failsoft_jobs_ended",
        "failsoft_jobs",
        ["name", "state", "finished_at"],
        where="finished_at IS NOT NULL",
    )
    online.create_index("ix_failsoft_jobs_newest", "failsoft_jobs", ["created_at"])
    online.create_index(
        "ix_failsoft_jobs_running",
        "failsoft_jobs",
        ["id"],
        where="state = 'running'",
    )
    online.create_index(
        "ix_failsoft_jobs_unclaimed",
        "failsoft_jobs",
        ["pickup_by"],
        where="state = 'offered'",
    )
    online.create_table(
        "failsoft_schedules",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("last_job_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_failsoft_schedules"),
    )
    online.create_table(
        "failsoft_signing_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_failsoft_signing_keys"),
    )
    online.create_table(
        "failsoft_workers",
        sa.Column("boot_id", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("live_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot_id", name="pk_failsoft_workers"),
    )
    online.create_table(
        "failsoft_attempts",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claim_id", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["failsoft_jobs.id"],
            name="fk_failsoft_attempts_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "epoch", name="pk_failsoft_attempts"),
        sqlite_with_rowid=False,
    )
    online.create_table(
        "failsoft_dispatch_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=255), server_default="", nullable=False),
        sa.Column("elapsed_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["failsoft_jobs.id"],
            name="fk_failsoft_dispatch_attempts_job_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "job_id",
            "epoch",
            "engine",
            "stage",
            name="uq_failsoft_dispatch_attempts_job_id_epoch_engine_stage",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_failsoft_dispatch_attempts"),
    )
    online.create_table(
        "failsoft_events",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["failsoft_jobs.id"],
            name="fk_failsoft_events_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "n", name="pk_failsoft_events"),
        sqlite_with_rowid=False,
    )
    online.create_table(
        "failsoft_steps",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["failsoft_jobs.id"],
            name="fk_failsoft_steps_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_failsoft_steps"),
        sa.UniqueConstraint("job_id", "seq", name="uq_failsoft_steps_job_id_seq"),
        sqlite_with_rowid=False,
    )
