"""The counters of jobs that ended, each in several rows."""

import random
from functools import lru_cache

from sqlalchemy import bindparam

from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.database.inserts import AnyInsert, insert_into
from failsoft.ledger.schema.tables import aggregates

_KEY = tuple(column.name for column in aggregates.primary_key)
#: How many rows share one counter, so that jobs which end together do not wait for one.
_SHARDS = 8


def any_shard() -> int:
    """Return which of a counter's rows one more is added to."""
    return random.randrange(_SHARDS)


@lru_cache
def count_end(dialect: str, ended: AnySelect | None = None) -> AnyInsert:
    """Add one to the counter of jobs that ended so.

    Args:
        dialect: The database's.
        ended: What returns the counter's key and 1; parameters if None.
    """
    statement = insert_into(dialect, aggregates)
    if ended is None:
        statement = statement.values({name: bindparam(name) for name in _KEY} | {"count": 1})
    else:
        statement = statement.from_select([*_KEY, "count"], ended)
    more = {"count": aggregates.c.count + 1}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=more)


def count_ends(ended: AnySelect) -> AnyInsert:
    """Add to the counters of jobs that ended, of what returns their keys and how many did."""
    statement = insert_into("postgresql", aggregates).from_select([*_KEY, "count"], ended)
    more = {"count": aggregates.c.count + statement.excluded.count}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=more)
