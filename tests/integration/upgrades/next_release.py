"""The migrations that come after this release's, one that is additive and one that is not."""

from pathlib import Path

from understudy.ledger.migrating.scripts import load

HERE = Path(__file__).parent

ADDITIVE = load(HERE / "additive")
BREAKING = load(HERE / "additive", HERE / "breaking")
