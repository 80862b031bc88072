"""A look along a list for what stands in no index: part by part, for a short time.

How many rows it takes until something is found depends on what is looked for, and how long a row
takes on the machine, on the width of the rows and on what else the database does. A look is bounded
by both, so that neither a screen nor a bulk's transaction waits for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from time import monotonic

from sqlalchemy import Connection

from failsoft.job_engine.ports.cursor import AFTER_ALL, Place
from failsoft.job_engine.ports.job_filter import MOST_LOOKED_THROUGH
from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.roles import lists
from failsoft.ledger.roles.lists import Window

#: After so long no further part of a list is looked through.
LOOK = timedelta(milliseconds=40)
#: So many rows the first part has, and no other has fewer: they would not be worth its statements.
#: How long a row takes is known after it; from a disk a hundred times as long as from memory.
LEAST = 200
#: By how much a part is larger at most than the one before.
_MORE = 4

#: Selects up to where each look of a window may go, for so many rows; see `lists.edges`.
Edges = Callable[[Window, int], Iterator[AnySelect]]


class Look:
    """A walk along a list, from where a window begins.

    Attributes:
        after: Where the next one goes on; None where nothing is left.
        rows: How many rows the parts had so far, at least.
    """

    def __init__(
        self,
        edges: Edges,
        window: Window,
        *,
        within: timedelta = LOOK,
        most: int = MOST_LOOKED_THROUGH,
    ) -> None:
        """Begin a walk.

        Args:
            edges: Selects where parts end; nothing where all of what is looked for is in an index.
            window: Where it begins.
            within: After how long it takes no further part.
            most: After how many rows it takes none.
        """
        self._edges = edges
        self._window = window
        self._within = within.total_seconds()
        self._most = most
        self.after: Place | None = window.after
        self.rows: int = 0

    def parts(self, connection: Connection) -> Iterator[Window]:
        """Yield one part of the list after the other; of each the caller reads what it looks for.

        The last is the end of the list, or where the time is over or the rows are too many.
        """
        ends, here, many = monotonic() + self._within, self._window, LEAST
        while True:
            began = monotonic()
            part = self._part(connection, here, many)
            yield part
            if part.edge is None:
                self.after = None
                return
            self.rows += many
            self.after = _beyond(part.edge, part.order)
            now = monotonic()
            # As many as there is time for, at the pace of this one.
            affordable = int(many * max(ends - now, 0.0) / max(now - began, 1e-6))
            many = min(_MORE * many, self._most - self.rows, affordable)
            if many < LEAST:
                return
            here = replace(self._window, after=self.after)

    def _part(self, connection: Connection, here: Window, many: int) -> Window:
        found = [connection.execute(each).scalar_one() for each in self._edges(here, many)]
        return lists.at_edge(here, found)


def _beyond(edge: Place, order: str) -> Place:
    # Of a moment the part has all rows; ids are its order where it has no moment.
    return edge if order == lists.BY_ID else Place(edge.at, AFTER_ALL)
