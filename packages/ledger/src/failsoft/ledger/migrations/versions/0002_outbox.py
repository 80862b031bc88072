"""The outbox. Code of the revision before reads no such records, and works on beside it."""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0002"
down_revision = "0001"

OUTBOX = "failsoft_outbox"
ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    online.create_table(
        OUTBOX,
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("engine", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(255), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("headers", sa.Text(), server_default="[]", nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("step", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("refusals", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("seq", name=f"pk_{OUTBOX}"),
        sa.UniqueConstraint("id", name=f"uq_{OUTBOX}_id"),
    )
    online.create_index(
        f"ix_{OUTBOX}_waiting", OUTBOX, ["engine", "seq"], where="published_at IS NULL"
    )
    online.create_index(
        f"ix_{OUTBOX}_refused",
        OUTBOX,
        ["engine", "topic", "key", "seq"],
        where="published_at IS NULL AND due_at IS NOT NULL",
    )
    online.create_index(
        f"ix_{OUTBOX}_published", OUTBOX, ["published_at"], where="published_at IS NOT NULL"
    )
