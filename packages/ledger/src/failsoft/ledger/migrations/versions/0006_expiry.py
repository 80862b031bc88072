"""By when a job must have begun."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    online.add_columns("failsoft_jobs", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    online.create_index(
        "ix_failsoft_jobs_expiring",
        "failsoft_jobs",
        ["expires_at"],
        where="expires_at IS NOT NULL AND started_at IS NULL AND finished_at IS NULL",
    )
