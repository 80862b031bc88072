"""The migrations, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from alembic.script import ScriptDirectory

from failsoft.ledger.schema.revision import REVISIONS

MIGRATIONS = Path(__file__).parent.parent / "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration.

    Attributes:
        before: The revision that it changes; None for the first.
        revision: The revision that it makes.
        minimum: The oldest revision whose code can work on a ledger of this one.
        finished: The minimum of one on which no older code will work again: of a new one, and
            where an upgrade was told so.
        upgrade: Does it, with the functions of `online`.
    """

    before: str | None
    revision: str
    minimum: str
    finished: str
    upgrade: Callable[[], None]


@lru_cache
def load(*more: Path) -> Sequence[Migration]:
    """Load the migrations.

    Args:
        more: Folders of migrations beside those of this code, for tests of what comes next.

    Raises:
        ValueError: They do not make the revisions that the code names.
    """
    folders = [str(folder) for folder in (MIGRATIONS / "versions", *more)]
    scripts = ScriptDirectory(str(MIGRATIONS), version_locations=folders)
    found: list[Migration] = []
    for script in reversed(list(scripts.walk_revisions())):
        minimum = getattr(script.module, "minimum", None)
        if minimum is None:
            minimum = found[-1].minimum if found else script.revision
        before = found[-1].revision if found else None
        finished = getattr(script.module, "finished", found[-1].finished if found else minimum)
        work = script.module.upgrade
        found.append(Migration(before, script.revision, minimum, max(minimum, finished), work))
    ours = tuple(each.revision for each in found[: len(REVISIONS)])
    if ours != REVISIONS:
        raise ValueError(f"expected the migrations {REVISIONS}, got {ours}")
    return tuple(found)
