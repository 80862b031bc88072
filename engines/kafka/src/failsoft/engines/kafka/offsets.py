"""Which offsets may be committed."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Partition:
    taken: deque[int] = field(default_factory=deque)
    decided: set[int] = field(default_factory=set)


class Offsets:
    """The offsets that one consumer has taken, by partition.

    A commit covers every offset before it, so an offset waits for those that were taken earlier.
    """

    def __init__(self, commit: Callable[[int, int], object]) -> None:
        """Commit through a function of a partition and the offset to go on from."""
        self._commit = commit
        self._lock = threading.Lock()
        self._partitions: dict[int, _Partition] = {}

    def take(self, partition: int, offset: int) -> None:
        """Note that the record at the offset was handed to a slot."""
        with self._lock:
            self._partitions.setdefault(partition, _Partition()).taken.append(offset)

    def decide(self, partition: int, offset: int) -> None:
        """Note that the ledger has decided about a record, and commit what can be by now."""
        with self._lock:
            found = self._partitions.get(partition)
            if found is None or offset not in found.taken:
                return
            found.decided.add(offset)
            last = None
            while found.taken and found.taken[0] in found.decided:
                last = found.taken.popleft()
                found.decided.remove(last)
            if last is not None:
                # Under the lock, so that no commit of less comes after one of more.
                self._commit(partition, last + 1)

    def forget(self, partition: int) -> None:
        """Drop what was taken of a partition that is another consumer's now."""
        with self._lock:
            self._partitions.pop(partition, None)
