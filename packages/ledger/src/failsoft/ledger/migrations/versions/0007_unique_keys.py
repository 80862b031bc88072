"""The keys that no two jobs may hold at the same time."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0007"
down_revision = "0006"

HELD = (
    "unique_key IS NOT NULL AND (unique_scope = 'period'"
    " OR (unique_scope = 'incomplete' AND finished_at IS NULL)"
    " OR (unique_scope = 'unbegun' AND started_at IS NULL AND finished_at IS NULL))"
)


def upgrade() -> None:
    online.add_columns(
        "failsoft_jobs",
        sa.Column("unique_key", sa.String(length=64), nullable=True),
        sa.Column("unique_scope", sa.String(length=16), nullable=True),
        sa.Column("unique_until", sa.BigInteger(), nullable=True),
    )
    online.create_index(
        "ix_failsoft_jobs_unique",
        "failsoft_jobs",
        ["name", "unique_key"],
        unique=True,
        where=HELD,
    )
