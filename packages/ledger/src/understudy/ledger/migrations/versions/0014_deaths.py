"""Which worker processes are known to be dead, and what tells a process from another."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    for name in ("machine", "birth"):
        column = sa.Column(name, sa.String(length=128), nullable=True)
        op.add_column("understudy_workers", column)
    op.add_column("understudy_workers", sa.Column("died_at", sa.BigInteger(), nullable=True))
