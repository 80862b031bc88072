"""What code of this release cannot live with: a column it reads goes."""

from failsoft.ledger.upgrade import online
from failsoft.ledger.upgrade.operations import op

revision = "0100"
down_revision = "0099"
minimum = "0100"


def upgrade() -> None:
    online.once("column revision", "failsoft_jobs", _drop)


def _drop() -> None:
    if online.has_column("failsoft_jobs", "revision"):
        op.drop_column("failsoft_jobs", "revision")
