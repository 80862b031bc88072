"""How long the call of the ledger that this thread is in may take.

The client's side keeps the time: a server that answers nothing keeps none. The driver compares
with it wherever it waits; see `bounded_driver`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from time import monotonic

#: How long one call of the ledger takes at most, tries of a failed transaction included.
LIMIT = timedelta(seconds=5)
#: What is left for the answer of a server that ended a statement because it took too long.
STATEMENT_SHARE = 0.8
#: A lock is waited for less long than a statement takes, and longer than it takes to find a
#: deadlock (one second by default).
LOCK_SHARE = 0.4
#: How long a transaction may do nothing, in limits: a client that is gone keeps its locks so long.
IDLE_SHARE = 2.0


@dataclass(frozen=True, slots=True)
class CallLimit:
    """What one call may take, in seconds.

    Attributes:
        whole: The whole call, tries of a failed transaction included.
        answer: Each answer of the server.
        statement: What the server is given for a statement; None is what the connection has.
    """

    whole: float = LIMIT.total_seconds()
    answer: float = inf
    statement: float | None = None

    @property
    def at_length(self) -> "CallLimit":
        """The limit of a call with many statements: of each answer instead of the whole."""
        return replace(self, whole=inf, answer=self.whole)

    def with_statements_of(self, seconds: float) -> "CallLimit":
        """Return the limit of a call at length in which a statement may take longer.

        The server is given so many seconds for each. What answers it is still waited for no
        longer than any other answer, but within `Running.answers_within`.
        """
        return replace(self.at_length, statement=seconds)


#: When the whole call must be over, by the steady clock; how long each answer may take; and what
#: the server is given for a statement, see `CallLimit`.
Now = tuple[float, float, float | None]


class Running(threading.local):
    """The call that a thread is in.

    Attributes:
        now: What it may take; one value, because every statement looks at it.
    """

    now: Now = (inf, inf, None)

    @property
    def statement(self) -> float | None:
        """What the server is given for a statement; None is what the connection has."""
        return self.now[2]

    @property
    def answer(self) -> float:
        """How long each answer may take."""
        return self.now[1]

    def left(self) -> float:
        """Return how long the next answer may take; infinite outside a call."""
        ends_at, answer, _ = self.now
        left = ends_at - monotonic()
        return min(answer, left)

    def begin(self, limit: CallLimit) -> Now:
        """Enter a call and return what `end` needs; an inner call has a limit of its own."""
        outer = self.now
        self.now = (monotonic() + limit.whole, limit.answer, limit.statement)
        return outer

    @contextmanager
    def answers_within(self, seconds: float) -> Iterator[None]:
        """Let each answer take so many seconds while a block runs."""
        before = self.now
        self.now = (before[0], seconds, before[2])
        try:
            yield
        finally:
            self.now = before

    def end(self, outer: Now) -> None:
        """Leave a call."""
        self.now = outer


#: The call that this thread is in.
RUNNING = Running()
