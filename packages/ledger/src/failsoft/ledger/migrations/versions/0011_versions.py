"""The version of a job's payload."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    version = sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    online.add_columns("failsoft_jobs", version)
