"""What a fork leaves of the connections of a process: none that SQLite counts on in the child.

SQLite keeps the locks of a process in a table of its own, which a child inherits; the locks
themselves stay with the parent. A child that goes on with that table writes without a lock
(docs/how-to/ledger-sqlite.md). So whatever is open is closed before the fork, as far as it can be.
"""

import os
import threading
from types import TracebackType
from typing import Protocol

from failsoft.ledger.database.weak_registry import WeakRegistry


class Forkable(Protocol):
    """Something that has to be brought across a fork."""

    def before_fork(self) -> None:
        """Close what can be closed; open nothing until one of the others is called."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Forget what is the parent's, and go on."""
        ...


_all: WeakRegistry[Forkable] = WeakRegistry()
#: Threads fork one after the other: each takes every lock, and gives back what it took itself.
_forking = threading.RLock()
_under_way: list[Forkable] = []


def bring_across_forks(forkable: Forkable) -> None:
    """Call something at every fork of this process, as long as it lives."""
    _all.add(forkable)


class Lock:
    """A lock of this process's: at a fork no other thread holds it, and in the child none does."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        bring_across_forks(self)

    def __enter__(self) -> None:
        """Take it."""
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._lock.release()

    def before_fork(self) -> None:
        """Take it."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Give it back."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Have another one."""
        self._lock = threading.RLock()


def _before() -> None:
    _forking.acquire()
    for each in list(_all):
        _under_way.append(each)
        each.before_fork()


def _in_parent() -> None:
    try:
        while _under_way:
            _under_way.pop().after_fork_in_parent()
    finally:
        _forking.release()


def _in_child() -> None:
    global _forking  # noqa: PLW0603 - the one there is belongs to a thread of the parent's
    _forking = threading.RLock()
    # Not only those that `before` was called for: what forks in C may leave that out.
    _under_way.clear()
    for each in list(_all):
        each.after_fork_in_child()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
