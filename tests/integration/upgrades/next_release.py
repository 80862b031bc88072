"""The migrations that come after this release's, one that is additive and one that is not."""

from pathlib import Path

from failsoft.ledger.schema.tables import metadata
from failsoft.ledger.upgrade.scripts import load

HERE = Path(__file__).parent

ADDITIVE = load(HERE / "additive")
BREAKING = load(HERE / "additive", HERE / "breaking")

#: How many tables this release makes, with the one that notes the revision.
TABLES = len(metadata.tables) + 1
