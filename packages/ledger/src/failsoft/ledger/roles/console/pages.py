"""Pages of the tables whose rows have a moment and an id: the newest first, ties by id."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Column, ColumnElement, Table, or_, select, type_coerce

from failsoft.job_engine.ports import cursor as cursors
from failsoft.job_engine.ports.console import MOST_ON_A_PAGE, Page
from failsoft.job_engine.ports.cursor import Place
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.timestamps import stored

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A table that is read page by page.

    Attributes:
        table: The table, with a column `id`.
        moment: The name of the column that orders it; an index begins with it, and has the id next.
        read: Reads a row.
    """

    table: Table
    moment: str
    read: Callable[[AnyRow], T]

    def page(
        self,
        database: Database,
        cursor: str | None,
        limit: int,
        of: str = "",
        *here: ColumnElement[bool],
    ) -> Page[T]:
        """Read a page.

        Args:
            database: The ledger's database.
            cursor: Where it begins.
            limit: How many rows.
            of: What distinguishes the list from others of the table.
            here: Which rows.

        Raises:
            OptionInvalidError: The cursor or the limit cannot be one.
        """
        check_limit(limit)
        name = f"{self.table.name}:{of}"
        place = cursors.read(cursor, name)
        column: Column[Any] = self.table.c[self.moment]
        at, id_ = type_coerce(column, BigInteger), self.table.c.id
        beyond = [] if place is None else [at <= place.at, or_(at < place.at, id_ > place.id)]
        statement = select(*self.table.c).where(*here, *beyond)
        statement = statement.order_by(at.desc(), id_).limit(limit + 1)
        found = database.read(lambda c: c.execute(statement).all())
        after = None
        if len(found) > limit:
            last = found[limit - 1]
            after = cursors.written(Place(stored(getattr(last, self.moment)), last.id), name)
        return Page([self.read(row) for row in found[:limit]], after)


def check_limit(limit: int) -> None:
    """Refuse a page that is empty or too large.

    Raises:
        OptionInvalidError: It is.
    """
    cursors.EXPECT.whole("a limit", limit, least=1, most=MOST_ON_A_PAGE)
