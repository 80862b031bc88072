"""By when a job must have begun."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("understudy_jobs", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    where = sa.text("expires_at IS NOT NULL AND started_at IS NULL AND finished_at IS NULL")
    op.create_index(
        "ix_understudy_jobs_expiring",
        "understudy_jobs",
        ["expires_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
