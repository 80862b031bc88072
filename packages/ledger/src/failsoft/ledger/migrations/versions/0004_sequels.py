"""What the end of a job sets off."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    online.add_columns("failsoft_jobs", sa.Column("follow_ups", sa.Text(), nullable=True))
