"""The few values that a column of very many rows has, by one look into an index for each."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, TextClause, func, select


def distinct(column: ColumnElement[Any], *here: ColumnElement[bool] | TextClause) -> CTE:
    """Select the values of a column as `value`, and NULL after the last.

    Args:
        column: The column.
        here: Which rows. An index must hold just those, or begin with what they compare, and go
            on with the column.
    """
    smallest = select(func.min(column).label("value")).where(*here)
    found = smallest.cte(f"each_{column.key}", recursive=True)
    following = select(func.min(column)).where(*here, column > found.c.value).scalar_subquery()
    return found.union_all(select(following).where(found.c.value.is_not(None)))
