"""What keeps a ledger of millions of jobs quick: packed events, indexes, counts.

Code of the revision before goes on beside it: events are packed, and counts taken from counters,
when no such code is left (`finished`).
"""

import sqlalchemy as sa

from failsoft.ledger.upgrade import online

revision = "0003"
down_revision = "0002"
finished = "0003"

JOBS = "failsoft_jobs"
PRUNED = "failsoft_pruned"

RARE_STATES = ("scheduled", "offered", "running", "held", "failed", "cancelled")


def upgrade() -> None:
    online.add_columns(JOBS, sa.Column("history", sa.Text(), nullable=True))
    online.create_table(
        PRUNED,
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state", name=f"pk_{PRUNED}"),
    )
    for state in RARE_STATES:
        columns = ["created_at", "state", "queue", "name", "engine"]
        _partial(f"in_{state}", f"state = '{state}'", *columns)
    # Whatever looked at `running` finds the same jobs in `in_running`.
    online.drop_index(f"ix_{JOBS}_running", JOBS)
    # The order of what waits at each engine, in the place of the order of all that waits: code of
    # the revision before works without that index, only slower.
    _partial("pickups", "state = 'offered'", "engine", "queue", "pickup_by")
    online.drop_index(f"ix_{JOBS}_unclaimed", JOBS)
    _partial("dead", "state = 'failed'", "finished_at", "state", "queue", "name")
    unlimited = "state = 'scheduled' AND concurrency_key IS NULL AND rate_key IS NULL"
    _partial("by_priority", unlimited, "priority", "run_at", "queue", "name")
    _partial("tagged", "tags <> '[]'", "created_at")
    _partial("pinned", "engines <> '[]' AND finished_at IS NULL", "queue")
    online.create_index(f"ix_{JOBS}_of_queue", JOBS, ["queue", "name", "created_at"])


def _partial(name: str, condition: str, *columns: str) -> None:
    online.create_index(f"ix_{JOBS}_{name}", JOBS, columns, where=condition)
