"""Writes of several threads in one statement: a commit, and an answer of the server, for all.

The first thread that writes goes at once, alone. Those that come while it waits for the server
form a batch, which the first of them writes next: the more there is to do, the larger the batches
are, and a thread without others waits for none.
"""

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from failsoft.ledger.database.call_limit import RUNNING
from failsoft.ledger.database.joint import JointWrite
from failsoft.ledger.database.raw_connections import RawConnection

T = TypeVar("T")

#: How many writes are one statement at most.
MOST = 32
#: How long a thread waits at most for the one that writes for it, where its call has no limit.
LONGEST_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    write: JointWrite[T]
    leads: bool = False
    is_over: bool = False
    found: tuple[()] | tuple[T] = ()
    _woken: threading.Lock = field(default_factory=threading.Lock)

    def expect(self) -> None:
        self._woken.acquire()

    def wait(self, seconds: float) -> bool:
        return self._woken.acquire(timeout=max(0.0, seconds))

    def wake(self) -> None:
        if self._woken.locked():
            self._woken.release()


class _Queue(Generic[T]):
    """The writes of one kind: one batch at a time is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: list[_Entry[T]] = []

    def join(self, entry: _Entry[T]) -> None:
        """Lead the next batch, or wait for the end of one."""
        with self._lock:
            if not self._is_led:
                self._is_led = entry.leads = True
                return
            entry.expect()
            self._waiting.append(entry)

    def leave(self, entry: _Entry[T]) -> bool:
        """Wait no more; return whether a batch is to be led all the same.

        Who led may be gone: from now on another one may lead besides.
        """
        with self._lock:
            if entry in self._waiting:
                self._waiting.remove(entry)
            self._is_led = entry.leads
            return entry.leads

    def take(self, leader: _Entry[T]) -> Sequence[_Entry[T]]:
        """Return the batch that an entry leads: no two of one key."""
        found = {leader.write.key: leader}
        with self._lock:
            for each in self._waiting:
                if len(found) < MOST:
                    found.setdefault(each.write.key, each)
            batch = list(found.values())
            self._waiting = [each for each in self._waiting if each not in batch]
        return batch

    def pass_on(self, batch: Sequence[_Entry[T]]) -> None:
        """Let the next one lead, and those of a batch go on."""
        with self._lock:
            following = self._waiting.pop(0) if self._waiting else None
            self._is_led = following is not None
            if following is not None:
                following.leads = True
        if following is not None:
            following.wake()
        for each in batch:
            each.is_over = True
            each.wake()


class Batches:
    """The writes of one process that may be made together."""

    def __init__(self, connect: Callable[[], RawConnection]) -> None:
        """Prepare; nothing is connected yet.

        Args:
            connect: Returns a connection that is not in use.
        """
        self._connect = connect
        self._pid = os.getpid()
        self._queues: dict[Hashable, _Queue[Any]] = {}

    def write(self, write: JointWrite[T], alone: Callable[[], T]) -> T:
        """Make a write together with others that wait, or alone.

        Raises nothing for the sake of another's write: each of a batch that failed is made alone.
        """
        entry = _Entry(write)
        self._together(entry, alone)
        return entry.found[0] if entry.found else alone()

    def _together(self, entry: _Entry[T], alone: Callable[[], T]) -> None:
        if self._pid != os.getpid():
            # Forked while a thread of the parent led a batch.
            self._queues, self._pid = {}, os.getpid()
        queue = self._queues.setdefault(entry.write.alike, _Queue[Any]())
        queue.join(entry)
        if not entry.leads:
            try:
                # Half of the time: the other half is for the write that it makes alone.
                is_in_time = entry.wait(min(RUNNING.left() / 2, LONGEST_SECONDS))
            except BaseException:
                if queue.leave(entry):
                    queue.pass_on(())
                raise
            if entry.is_over or not (is_in_time or queue.leave(entry)):
                return
        batch: Sequence[_Entry[T]] = (entry,)
        try:
            batch = queue.take(entry)
            if len(batch) == 1:
                # Others gather while it waits for the server.
                entry.found = (alone(),)
            else:
                self._write(batch)
        finally:
            queue.pass_on(batch)

    def _write(self, batch: Sequence[_Entry[T]]) -> None:
        first = batch[0].write
        try:
            with self._connect() as raw:
                found = first.together(raw, [each.write.values for each in batch])
        except Exception:  # noqa: BLE001 - it may be another's fault: each meets its own alone
            return
        for each in batch:
            if each.write.key in found:
                each.found = (found[each.write.key],)
