"""Which of the jobs that an engine's messages name are not in the ledger, and why they may not be.

A message is made after its job is committed, and before the job ends. So a job that is missing was
lost, unless it was pruned: the ledger notes the end of the youngest job that ever was.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, select

from failsoft.ledger.database.database import Database
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.timestamps import instant, stored
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import info

#: The fact that says when the youngest of the jobs that were pruned had ended.
PRUNED = "pruned_until"
#: How far the clock of a message's maker may be from the ledger's.
SKEW = timedelta(minutes=1)

_DIGITS = 20
_AT_ONCE = 500


def note_pruned(connection: Connection, finished_at: datetime) -> None:
    """Note that jobs are deleted, the youngest of which ended then; part of their transaction."""
    # As many digits always: the text of a later one is greater.
    wanted = insert_into(connection.dialect.name, info).values(
        key=PRUNED, value=f"{stored(finished_at):0{_DIGITS}}"
    )
    later = wanted.excluded.value
    connection.execute(
        wanted.on_conflict_do_update(
            index_elements=[info.c.key], set_={"value": later}, where=info.c.value < later
        )
    )


def find_missing(database: Database, ids: Sequence[str]) -> set[str]:
    """Return the ids that no job of the ledger has."""
    missing = set(ids)
    wanted = sorted(missing)
    for first in range(0, len(wanted), _AT_ONCE):
        missing -= database.read(partial(_there, wanted[first : first + _AT_ONCE]))
    return missing


def may_be_pruned(database: Database, made_at: datetime) -> bool:
    """Return whether the job of a message that was made then may have been pruned."""
    noted = select(info.c.value).where(info.c.key == PRUNED)
    value = database.read(lambda c: c.execute(noted).scalar_one_or_none())
    return value is not None and made_at <= instant(int(value)) + SKEW


def _there(ids: Sequence[str], connection: Connection) -> set[str]:
    return set(connection.execute(select(jobs.c.id).where(jobs.c.id.in_(ids))).scalars())
