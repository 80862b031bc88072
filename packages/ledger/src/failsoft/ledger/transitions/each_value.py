"""The few values that a column of very many rows has, and the first rows of each.

Both are found by a look into an index for each value, however many rows there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    TextClause,
    func,
    select,
    true,
    type_coerce,
)

from failsoft.ledger.database.compiled import AnySelect


@dataclass(frozen=True, slots=True)
class By:
    """An order of rows by a moment, and where it ends.

    Attributes:
        moment: The column.
        bound: The latest moment, or the earliest where the newest come first; in microseconds.
        newest: Whether the latest come first.
        behind: Columns that the index has before the moment, for PostgreSQL; see `roles/lists.py`.
    """

    moment: ColumnElement[Any]
    bound: ColumnElement[int]
    newest: bool = False
    behind: Sequence[ColumnElement[Any]] = ()

    def within(self, bound: ColumnElement[int]) -> ColumnElement[bool]:
        """Say which rows come no later in the order than a moment."""
        at = type_coerce(self.moment, BigInteger)
        return at >= bound if self.newest else at <= bound


def distinct(
    column: ColumnElement[Any], *here: ColumnElement[bool] | TextClause, name: str = ""
) -> CTE:
    """Select the values of a column as `value`, and NULL after the last.

    Args:
        column: The column.
        here: Which rows. An index must hold just those, or begin with what they compare, and go
            on with the column.
        name: What distinguishes it from others of the same column in one statement.
    """
    smallest = select(func.min(column).label("value")).where(*here)
    found = smallest.cte(f"each_{column.key}{name}", recursive=True)
    following = select(func.min(column)).where(*here, column > found.c.value).scalar_subquery()
    return found.union_all(select(following).where(found.c.value.is_not(None)))


def first_of_each(
    each: CTE,
    found: AnySelect,
    by: By,
    limit: ColumnElement[int],
    *,
    is_sqlite: bool,
) -> Select[Any]:
    """Select the first rows of each value.

    Args:
        each: The values, see `distinct`.
        found: Selects rows of a value.
        by: Their order, which an index has them in.
        limit: How many of each; on SQLite there may be more of the same moment as the last.
        is_sqlite: Whether it is for SQLite, which has no LATERAL.
    """
    at = type_coerce(by.moment, BigInteger)
    order = at.desc() if by.newest else at
    if not is_sqlite:
        behind = [each.desc() if by.newest else each for each in by.behind]
        first = found.where(by.within(by.bound)).order_by(*behind, order).limit(limit)
        rows = first.correlate(each).lateral("first")
        return select(*rows.c).select_from(each.join(rows, true()))
    moments = found.with_only_columns(at).where(by.within(by.bound)).order_by(order)
    last = moments.limit(1).offset(limit - 1).correlate(each).scalar_subquery()
    # The only bound, so that it is the one that the index is gone through to.
    here = found.where(by.within(func.coalesce(last, by.bound)))
    return here.select_from(each)
