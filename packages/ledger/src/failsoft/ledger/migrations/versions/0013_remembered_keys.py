"""Keys that are remembered longer than their jobs.

Pruning fills the table: until a job is pruned its row holds the key, and the index on it stays.
Code of 0012 does not look into the table: until it is replaced, a repeated request may make a
second job of one that was pruned, as it did before.
"""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    online.add_columns("failsoft_jobs", sa.Column("key_until", sa.BigInteger(), nullable=True))
    online.create_table(
        "failsoft_keys",
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("payload_sha", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("remembered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_failsoft_keys"),
        sqlite_with_rowid=False,
    )
    online.create_index("ix_failsoft_keys_expires_at", "failsoft_keys", ["expires_at"])
