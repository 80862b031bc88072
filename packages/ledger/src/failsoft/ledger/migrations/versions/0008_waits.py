"""What jobs wait for: events that are sent, and jobs that they invoke."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    online.add_columns(
        "failsoft_jobs",
        sa.Column("awaits", sa.String(length=64), nullable=True),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    online.create_index(
        "ix_failsoft_jobs_awaiting",
        "failsoft_jobs",
        ["awaits"],
        where="awaits IS NOT NULL",
    )
    online.create_table(
        "failsoft_sent_events",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failsoft_sent_events"),
    )
    online.create_index(
        "ix_failsoft_sent_events_topic", "failsoft_sent_events", ["topic", "sent_at"]
    )
    online.create_index(
        "ix_failsoft_sent_events_expires_at", "failsoft_sent_events", ["expires_at"]
    )
    online.create_table(
        "failsoft_receipts",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["failsoft_jobs.id"],
            name="fk_failsoft_receipts_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "event_id", name="pk_failsoft_receipts"),
        sqlite_with_rowid=False,
    )
