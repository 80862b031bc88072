"""What the end of a job sets off."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("understudy_jobs", sa.Column("sequel", sa.Text(), nullable=True))
