"""The order of what waits at each engine, in the place of the order of all that waits.

Code of the revision before works without the index that it had, only slower.
"""

from failsoft.ledger.upgrade import online

revision = "0003"
down_revision = "0002"

JOBS = "failsoft_jobs"


def upgrade() -> None:
    columns = ["engine", "queue", "pickup_by"]
    online.create_index(f"ix_{JOBS}_pickups", JOBS, columns, where="state = 'offered'")
    online.drop_index(f"ix_{JOBS}_unclaimed", JOBS)
