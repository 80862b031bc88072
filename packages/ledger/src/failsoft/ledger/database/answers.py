"""When a server answered this process last, and which of its threads wait for an answer now."""

import os
from time import monotonic


class Answers:
    """What is known of all connections of this process together.

    A statement that takes long and a server that answers nothing look alike from one connection;
    the others distinguish them.
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
        """Return for how many seconds nothing was answered while a thread waits.

        0.0 where that is less than half of the time that it has waited: a server that stops
        answers some connections a moment longer than others, and one that works answers many.
        """
        since = self._waiting.get(thread)
        if since is None:
            return 0.0
        now = monotonic()
        silent = now - max(since, self._newest)
        return silent if silent >= (now - since) / 2 else 0.0

    def forget(self) -> None:
        """Forget the threads of the process that this one was forked from."""
        self._waiting = {}


ANSWERS = Answers()
os.register_at_fork(after_in_child=ANSWERS.forget)
