"""The traces of attempts. Code of the revision before works on beside it, and leaves none."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    trace = sa.Column("trace_context", sa.Text(), nullable=True)
    online.add_columns("failsoft_attempts", trace)
