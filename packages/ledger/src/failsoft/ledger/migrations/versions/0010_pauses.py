"""Queues and definitions of which nothing begins."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    online.create_table(
        "failsoft_pauses",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_failsoft_pauses"),
    )
