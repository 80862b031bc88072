"""The made-up next release: its migrations, one additive and one not, and its sources."""

import re
import shutil
from pathlib import Path

import failsoft.ledger
from failsoft.ledger.schema.revision import REVISIONS
from failsoft.ledger.schema.tables import metadata
from failsoft.ledger.upgrade.scripts import load

HERE = Path(__file__).parent

ADDITIVE = load(HERE / "additive")
BREAKING = load(HERE / "additive", HERE / "breaking")

#: How many tables this release makes, with the one that notes the revision.
TABLES = len(metadata.tables) + 1

#: The sources of the ledger of this release.
SOURCES = Path(failsoft.ledger.__file__).parents[2]
_REVISIONS = re.compile(r"^REVISIONS = \(.*?\)$", re.MULTILINE | re.DOTALL)


def write_sources(folder: Path, *kinds: str) -> Path:
    """Write the sources of the ledger as the next release has them; return the folder.

    Args:
        folder: Where; it is made. A process with it in `PYTHONPATH` is one of the next release.
        kinds: Which of its migrations it has: `additive`, `breaking`.
    """
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    package = folder / "failsoft" / "ledger"
    migrations = sorted(file for kind in kinds for file in (HERE / kind).glob("*.py"))
    for each in migrations:
        shutil.copy(each, package / "migrations" / "versions")
    module = package / "schema" / "revision.py"
    known = (*REVISIONS, *(each.name[:4] for each in migrations))
    text, count = _REVISIONS.subn(f"REVISIONS = {known!r}", module.read_text())
    assert count == 1
    module.write_text(text)
    return folder
