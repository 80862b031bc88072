"""How far a job has come, in its own words."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("understudy_jobs", sa.Column("progress", sa.Text(), nullable=True))
