"""What keeps a ledger of millions of jobs quick: packed events, indexes for lists, counts.

Code of the revision before goes on beside it: events are packed, and counts taken from counters,
when no such code is left (`finished`). The indexes that are dropped have others in their place
that begin with the same columns under the same conditions.
"""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0003"
down_revision = "0002"
finished = "0003"

JOBS = "failsoft_jobs"
PRUNED = "failsoft_pruned"

OF_STATES = {
    "scheduled": (
        "scheduled",
        ["run_at", "state", "created_at", "queue", "name"],
    ),
    "pickup": ("offered", ["pickup_by", "state", "engine", "queue", "created_at", "name"]),
    "active": ("running", ["id", "state", "engine", "queue", "created_at", "name"]),
    **{
        state: (state, ["state", "created_at", "queue", "name"])
        for state in ("held", "failed", "cancelled")
    },
}


def upgrade() -> None:
    online.add_columns(JOBS, sa.Column("history", sa.Text(), nullable=True))
    online.create_table(
        PRUNED,
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state", name=f"pk_{PRUNED}"),
    )
    for name, (state, columns) in OF_STATES.items():
        online.create_index(f"ix_{JOBS}_{name}", JOBS, columns, where=f"state = '{state}'")
    online.create_index(
        f"ix_{JOBS}_by_priority",
        JOBS,
        ["priority", "run_at", "queue", "name"],
        where="state = 'scheduled' AND concurrency_key IS NULL AND rate_key IS NULL",
    )
    online.create_index(
        f"ix_{JOBS}_dead",
        JOBS,
        ["state", "finished_at", "queue", "name"],
        where="state = 'failed'",
    )
    online.create_index(f"ix_{JOBS}_tagged", JOBS, ["created_at"], where="tags <> '[]'")
    for replaced in ("due", "unclaimed", "running"):
        online.drop_index(f"ix_{JOBS}_{replaced}", JOBS)
    online.create_index(f"ix_{JOBS}_of_queue", JOBS, ["queue", "name", "created_at"])
