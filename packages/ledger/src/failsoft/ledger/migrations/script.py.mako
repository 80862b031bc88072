"""${message}."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# Only if code of an older revision cannot work on what this makes (docs/upgrading.md):
# minimum = ${repr(up_revision)}


def upgrade() -> None:
    online.add_columns("failsoft_jobs", sa.Column("name", sa.Text(), nullable=True))
    online.create_index("ix_failsoft_jobs_name", "failsoft_jobs", ["name"])
