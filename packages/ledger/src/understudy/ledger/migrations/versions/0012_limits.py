"""How many jobs of a key may run at once, and how many may begin within a period."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_UNDER_LIMITS = "(concurrency_key IS NOT NULL OR rate_key IS NOT NULL)"


def _partial(name: str, condition: str, columns: list[str]) -> None:
    where = sa.text(condition)
    op.create_index(
        f"ix_understudy_jobs_{name}",
        "understudy_jobs",
        columns,
        sqlite_where=where,
        postgresql_where=where,
    )


def upgrade() -> None:
    for name in ("concurrency_key", "rate_key"):
        op.add_column("understudy_jobs", sa.Column(name, sa.String(length=64), nullable=True))
    for name in ("concurrency_limit", "rate_limit"):
        op.add_column("understudy_jobs", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("understudy_jobs", sa.Column("rate_period", sa.BigInteger(), nullable=True))
    _partial("limited", f"state = 'scheduled' AND {_UNDER_LIMITS}", ["run_at"])
    for name in ("concurrency_key", "rate_key"):
        _partial(name, f"{name} IS NOT NULL AND finished_at IS NULL", [name, "state"])
    op.create_table(
        "understudy_rate_starts",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "epoch", name="pk_understudy_rate_starts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_understudy_rate_starts_key", "understudy_rate_starts", ["key", "at"])
    op.create_index(
        "ix_understudy_rate_starts_expires_at", "understudy_rate_starts", ["expires_at"]
    )
