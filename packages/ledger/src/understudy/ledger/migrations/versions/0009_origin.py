"""Which ended job's work a job does again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_GIVEN = sa.text("origin IS NOT NULL")


def upgrade() -> None:
    op.add_column("understudy_jobs", sa.Column("origin", sa.String(length=64), nullable=True))
    op.add_column("understudy_jobs", sa.Column("effects_of", sa.String(length=64), nullable=True))
    op.create_index(
        "ix_understudy_jobs_origin",
        "understudy_jobs",
        ["origin"],
        sqlite_where=_GIVEN,
        postgresql_where=_GIVEN,
    )
