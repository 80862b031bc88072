"""What is told to people. Code of the revision before works on beside it.

It tells nothing, and counts no ticks that are left out: a row of them that it is part of is told
late.
"""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0006"
down_revision = "0005"

PREFIX = "failsoft_"
SHORT = sa.String(64)
NAME = sa.String(128)
TIME = sa.BigInteger()


def upgrade() -> None:
    skips = sa.Column("skips", sa.Integer(), server_default=sa.text("0"), nullable=False)
    online.add_columns(f"{PREFIX}schedules", skips)
    online.create_table(
        f"{PREFIX}digests",
        sa.Column("rule", SHORT, nullable=False),
        sa.Column("topic", NAME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_at", TIME),
        sa.Column("last_at", TIME),
        sa.Column("examples", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("rule", "topic", name=f"pk_{PREFIX}digests"),
    )
