"""How far a job has come, in its own words."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    online.add_columns("failsoft_jobs", sa.Column("progress", sa.Text(), nullable=True))
