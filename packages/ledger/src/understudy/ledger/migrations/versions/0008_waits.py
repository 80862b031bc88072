"""What jobs wait for: events that are sent, and jobs that they invoke."""

import sqlalchemy as sa

from understudy.ledger.upgrade import online

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    online.add_columns(
        "understudy_jobs",
        sa.Column("awaits", sa.String(length=64), nullable=True),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    online.create_index(
        "ix_understudy_jobs_awaiting",
        "understudy_jobs",
        ["awaits"],
        where="awaits IS NOT NULL",
    )
    online.create_table(
        "understudy_sent_events",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_understudy_sent_events"),
    )
    online.create_index(
        "ix_understudy_sent_events_topic", "understudy_sent_events", ["topic", "sent_at"]
    )
    online.create_index(
        "ix_understudy_sent_events_expires_at", "understudy_sent_events", ["expires_at"]
    )
    online.create_table(
        "understudy_receipts",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["understudy_jobs.id"],
            name="fk_understudy_receipts_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "event_id", name="pk_understudy_receipts"),
        sqlite_with_rowid=False,
    )
