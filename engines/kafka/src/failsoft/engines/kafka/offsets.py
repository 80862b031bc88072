"""Which offsets may be committed."""

import threading
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Partition:
    taken: deque[int] = field(default_factory=deque)
    decided: set[int] = field(default_factory=set)

    def advance(self) -> int | None:
        last = None
        while self.taken and self.taken[0] in self.decided:
            last = self.taken.popleft()
            self.decided.remove(last)
        return None if last is None else last + 1


class Offsets:
    """The offsets that one consumer has taken, by partition.

    A commit covers every offset before it, so an offset waits for those that were taken earlier.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._partitions: dict[int, _Partition] = {}

    def take(self, partition: int, offset: int) -> None:
        """Note that the record at the offset was handed to a slot."""
        with self._lock:
            self._partitions.setdefault(partition, _Partition()).taken.append(offset)

    def decide(self, partition: int, offset: int) -> None:
        """Note that the ledger has decided about a record."""
        with self._lock:
            found = self._partitions.get(partition)
            if found is not None and offset in found.taken:
                found.decided.add(offset)

    def ready(self) -> dict[int, int]:
        """Return what can be committed that could not before: the offset to go on from."""
        with self._lock:
            found = {number: each.advance() for number, each in self._partitions.items()}
        return {number: offset for number, offset in found.items() if offset is not None}

    def forget(self, partition: int) -> None:
        """Drop what was taken of a partition that is another consumer's now."""
        with self._lock:
            self._partitions.pop(partition, None)
