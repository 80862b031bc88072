"""Which worker processes are known to be dead, and what tells a process from another."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0014"
down_revision = "0013"
# Columns that code before this one neither reads nor writes: it takes every worker for alive.
minimum = "0012"


def upgrade() -> None:
    online.add_columns(
        "failsoft_workers",
        sa.Column("machine", sa.String(length=128), nullable=True),
        sa.Column("birth", sa.String(length=128), nullable=True),
        sa.Column("died_at", sa.BigInteger(), nullable=True),
    )
