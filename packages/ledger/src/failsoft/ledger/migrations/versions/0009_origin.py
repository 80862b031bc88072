"""Which ended job's work a job does again."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    online.add_columns(
        "failsoft_jobs",
        sa.Column("retry_of", sa.String(length=64), nullable=True),
        sa.Column("idempotency_root", sa.String(length=64), nullable=True),
    )
    online.create_index(
        "ix_failsoft_jobs_retry_of",
        "failsoft_jobs",
        ["retry_of"],
        where="retry_of IS NOT NULL",
    )
