"""How many jobs of a key may run at once, and how many may begin within a period."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0012"
down_revision = "0011"
# Code before this one accepts no ledger but its own.
minimum = "0012"

_JOBS = "failsoft_jobs"
_UNDER_LIMITS = "(concurrency_key IS NOT NULL OR rate_key IS NOT NULL)"


def upgrade() -> None:
    online.add_columns(
        _JOBS,
        sa.Column("concurrency_key", sa.String(length=64), nullable=True),
        sa.Column("rate_key", sa.String(length=64), nullable=True),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("rate_limit", sa.Integer(), nullable=True),
        sa.Column("rate_period", sa.BigInteger(), nullable=True),
    )
    online.create_index(
        f"ix_{_JOBS}_limited", _JOBS, ["run_at"], where=f"state = 'scheduled' AND {_UNDER_LIMITS}"
    )
    for name in ("concurrency_key", "rate_key"):
        where = f"{name} IS NOT NULL AND finished_at IS NULL"
        online.create_index(f"ix_{_JOBS}_{name}", _JOBS, [name, "state"], where=where)
    online.create_table(
        "failsoft_rate_starts",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "epoch", name="pk_failsoft_rate_starts"),
        sqlite_with_rowid=False,
    )
    online.create_index("ix_failsoft_rate_starts_key", "failsoft_rate_starts", ["key", "at"])
    online.create_index(
        "ix_failsoft_rate_starts_expires_at", "failsoft_rate_starts", ["expires_at"]
    )
