"""What code of this release cannot live with: a column it reads goes."""

from understudy.ledger.upgrade import online
from understudy.ledger.upgrade.operations import op

revision = "0100"
down_revision = "0099"
minimum = "0100"


def upgrade() -> None:
    online.once("column hb", "understudy_jobs", _drop)


def _drop() -> None:
    if online.has_column("understudy_jobs", "hb"):
        op.drop_column("understudy_jobs", "hb")
