"""What a console and an exporter read. Code of the revision before works on beside it.

It writes none of the tables, and rows without the columns: how long its steps took is not known,
its workers say nothing about themselves.
"""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0004"
down_revision = "0003"

PREFIX = "failsoft_"
JOBS = f"{PREFIX}jobs"
ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
KEY = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
SHORT = sa.String(64)
NAME = sa.String(128)
TIME = sa.BigInteger()


def upgrade() -> None:
    online.add_columns(JOBS, sa.Column("trace_context", sa.Text(), nullable=True))
    online.add_columns(f"{PREFIX}steps", sa.Column("elapsed_us", sa.BigInteger(), nullable=True))
    info = sa.Column("info", sa.Text(), server_default="{}", nullable=False)
    online.add_columns(f"{PREFIX}workers", info)
    _activity()
    _figures()
    _bulks()
    columns = ["finished_at", "state", "queue", "name"]
    online.create_index(f"ix_{JOBS}_stopped", JOBS, columns, where="state = 'cancelled'")
    online.create_index(f"ix_{JOBS}_of_parent", JOBS, ["parent_id"], where="parent_id IS NOT NULL")
    # What reads `due` finds the same order here, and whose the jobs are without their rows.
    columns = ["run_at", "state", "queue", "engine"]
    online.create_index(f"ix_{JOBS}_due_of", JOBS, columns, where="state = 'scheduled'")
    online.drop_index(f"ix_{JOBS}_due", JOBS)
    _index("groups", "newest", ["created_at", "id"])


def _activity() -> None:
    _table(
        "audit",
        sa.Column("id", SHORT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("target_kind", sa.String(16), nullable=False),
        sa.Column("target", KEY, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        keys=("id",),
    )
    _index("audit", "at", ["at", "id"])
    _index("audit", "target", ["target", "at"])
    _table(
        "notices",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("engine", SHORT),
        sa.Column("queue", SHORT),
        sa.Column("job_id", ID),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.Column("told_at", TIME),
        keys=("id",),
    )
    _index("notices", "at", ["at", "id"])
    _index("notices", "untold", ["at"], where="told_at IS NULL")


def _figures() -> None:
    _table(
        "samples",
        sa.Column("minute", TIME, nullable=False),
        sa.Column("queue", SHORT, nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("metric", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        keys=("minute", "queue", "engine", "metric"),
    )
    _table(
        "measures",
        sa.Column("measure", sa.String(32), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("queue", SHORT, nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("labels", NAME, nullable=False),
        sa.Column("le", sa.String(16), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        keys=("measure", "name", "queue", "engine", "labels", "le", "shard"),
    )
    _table(
        "breakers",
        sa.Column("boot_id", SHORT, nullable=False),
        sa.Column("engine", SHORT, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        keys=("boot_id", "engine"),
    )


def _bulks() -> None:
    _table(
        "bulks",
        sa.Column("id", SHORT, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cursor", sa.Text()),
        sa.Column("at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        keys=("id",),
    )
    _index("bulks", "at", ["at", "id"])


def _table(name: str, *columns: sa.Column[object], keys: tuple[str, ...]) -> None:
    table = f"{PREFIX}{name}"
    online.create_table(table, *columns, sa.PrimaryKeyConstraint(*keys, name=f"pk_{table}"))


def _index(table: str, name: str, columns: list[str], where: str | None = None) -> None:
    online.create_index(f"ix_{PREFIX}{table}_{name}", f"{PREFIX}{table}", columns, where=where)
