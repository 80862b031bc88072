"""What a schedule has become: who declares it, and the tick that was left out last."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online
from failsoft.ledger.upgrade.operations import op

revision = "0003"
down_revision = "0002"

_TABLE = "failsoft_schedules"


def upgrade() -> None:
    online.once(f"table {_TABLE}", _TABLE, _replace)


def _replace() -> None:
    # No code before this one wrote a schedule: the table is empty.
    if online.has_column(_TABLE, "former"):
        return
    op.drop_table(_TABLE)
    op.create_table(
        _TABLE,
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("former", sa.Text(), server_default="[]", nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("declared_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("last_job_id", sa.String(length=64), nullable=True),
        sa.Column("skipped_at", sa.BigInteger(), nullable=True),
        sa.Column("skip_reason", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_failsoft_schedules"),
    )
