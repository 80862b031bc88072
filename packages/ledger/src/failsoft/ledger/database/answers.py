"""When a server answered this process last, and which of its threads wait for an answer now."""

import os
from time import monotonic


class Answers:
    """What is known of all connections of this process together.

    A statement that takes long and a server that answers nothing look alike from one connection;
    the others tell them apart.
    """

    def __init__(self) -> None:
        self._newest = float("-inf")
        self._waiting: dict[int, float] = {}

    def await_one(self, thread: int) -> None:
        """Note that a thread begins to wait."""
        self._waiting[thread] = monotonic()

    def receive(self, thread: int, *, answered: bool) -> None:
        """Note that a thread waits no more, with an answer or in vain."""
        self._waiting.pop(thread, None)
        if answered:
            self._newest = monotonic()

    def silence(self, thread: int) -> float:
        """Return for how many seconds a thread has waited, if nothing was answered meanwhile."""
        since = self._waiting.get(thread)
        return 0.0 if since is None or self._newest >= since else monotonic() - since

    def forget(self) -> None:
        """Forget the threads of the process that this one was forked from."""
        self._waiting = {}


ANSWERS = Answers()
os.register_at_fork(after_in_child=ANSWERS.forget)
