"""Jobs that wait for other jobs, and groups that count how theirs ended."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0005"
down_revision = "0004"

_ZERO = sa.text("0")


def upgrade() -> None:
    online.add_columns("failsoft_jobs", sa.Column("waits_for", sa.String(length=64), nullable=True))
    online.create_table(
        "failsoft_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("completion_id", sa.String(length=64), nullable=True),
        sa.Column("completion_field", sa.String(length=128), nullable=True),
        sa.Column("total", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("succeeded", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("failed", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("sealed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failsoft_groups"),
    )
