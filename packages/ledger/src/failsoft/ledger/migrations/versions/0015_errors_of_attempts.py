"""The error of each attempt, and not only the newest one of its job."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0015"
down_revision = "0014"
# A column that code before this one neither reads nor writes: an attempt that it ends has no error.
minimum = "0012"


def upgrade() -> None:
    online.add_columns("failsoft_attempts", sa.Column("error", sa.Text(), nullable=True))
