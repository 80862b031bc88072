"""When a worker takes the next message: the last one is decided, and a slot is free.

A message is acknowledged when the ledger has decided about it, and the broker delivers the next one
then. So the acknowledgement of the message that took the last slot waits until a slot is free:
otherwise the next would lie in this process for as long as the attempts run, while other workers
are idle (DQ-12). A worker that is killed meanwhile gets that one message delivered again, and the
ledger refuses it.
"""

import threading
from collections.abc import Callable

Acknowledge = Callable[[], object]


class Gate:
    """Counts the slots of a worker.

    Args:
        slots: How many there are.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._is_undecided = False
        self._owed: list[Acknowledge] = []
        self._changed = threading.Condition()

    def wait(self, timeout: float) -> bool:
        """Return whether the next message may be taken, within the time in seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_open, timeout)

    def taken(self) -> None:
        """Note that a message was taken; it has a slot."""
        with self._changed:
            self._free -= 1
            self._is_undecided = True

    def decided(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that is decided, now or when a slot is free."""
        with self._changed:
            is_last = self._free <= 0
            if is_last:
                self._owed.append(acknowledge)
        if not is_last:
            acknowledge()
        self.given_back()

    def given_back(self) -> None:
        """Note that nothing was decided about a message, and that it is the broker's again."""
        with self._changed:
            self._is_undecided = False
            self._changed.notify_all()

    def ended(self) -> None:
        """Note that a slot is free."""
        # Before the next message is taken, and after: one may have been decided meanwhile.
        self._settle()
        with self._changed:
            self._free += 1
            self._changed.notify_all()
        self._settle()

    def _settle(self) -> None:
        with self._changed:
            owed, self._owed = self._owed, []
        for acknowledge in owed:
            acknowledge()

    def _is_open(self) -> bool:
        return self._free > 0 and not self._is_undecided
