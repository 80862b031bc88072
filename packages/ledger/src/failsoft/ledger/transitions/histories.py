"""The histories of jobs: what of them stands in their rows, and what in rows of its own."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from failsoft.job_engine.records.job import HistoryEntry
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.tables import events

#: Of how many jobs the rows are read at once.
_AT_ONCE = 500


def histories(
    connection: Connection, found: Sequence[AnyRow]
) -> Mapping[str, Sequence[HistoryEntry]]:
    """Return the events of some jobs, the first first.

    Args:
        connection: Reads what does not stand in their rows.
        found: Rows of `jobs` with `id`, `created_at`, `events` and `history`.
    """
    here = {row.id: rows.history(row, ()) for row in found}
    # Not only those beyond the most that a row holds: what is no transition is a row of its own.
    elsewhere = [row.id for row in found if len(here[row.id]) < row.events]
    others: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for first in range(0, len(elsewhere), _AT_ONCE):
        among = events.c.job_id.in_(elsewhere[first : first + _AT_ONCE])
        for row in connection.execute(select(*events.c).where(among)):
            others[row.job_id].append(row)
    split = {row.id: rows.history(row, others[row.id]) for row in found if row.id in others}
    return here | split
