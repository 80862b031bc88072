"""Open files as the kernel sees them: this process's descriptors and locks, and others'.

SQLite's locks are POSIX locks: they belong to a process and a file, not to a descriptor. Only the
kernel says whether a process still holds them (docs/how-to/ledger-sqlite.md); Linux says
it in `/proc`.
"""

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: A file's device and inode.
Place = tuple[int, int]

#: Where SQLite keeps its shared lock on a database, and its lock on the index of the log.
SHARED_LOCK, INDEX_LOCK = 0x40000002, 128
#: Files that SQLite keeps beside each other.
SUFFIXES = ("", "-wal", "-shm")
#: The pause between two looks at other processes: what is closed just now is gone by then.
PAUSE_SECONDS = 0.1

_OWN = Path("/proc/self/fd")
_DELETED = " (deleted)"


def can_look() -> bool:
    """Return whether this system says what a process has open."""
    return _OWN.is_dir()


class Locks:
    """SQLite's locks on a database and on the index of its log, as this process holds them."""

    def __init__(self, database: Place, log: Place, index: Place) -> None:
        found = _own_descriptors({database, log, index})
        self.are_all_open: bool = len(found) == len({database, log, index})
        self._locked = [
            (_locked(found.get(place, ()), at), at)
            for place, at in ((database, SHARED_LOCK), (index, INDEX_LOCK))
        ]

    def are_held(self) -> bool:
        """Return whether they are still held through the same descriptors."""
        return all(each is not None and is_locked(each, at) for each, at in self._locked)


def _own_descriptors(places: Collection[Place]) -> Mapping[Place, Sequence[int]]:
    found: dict[Place, list[int]] = {}
    for name in os.listdir(_OWN):  # noqa: PTH208 - no Path for each of what may be thousands
        # One of them was the listing's own.
        with suppress(OSError):
            status = os.fstat(int(name))
            if (status.st_dev, status.st_ino) in places:
                found.setdefault((status.st_dev, status.st_ino), []).append(int(name))
    return found


def _locked(candidates: Iterable[int], at: int) -> int | None:
    return next((each for each in candidates if is_locked(each, at)), None)


def is_locked(descriptor: int, at: int) -> bool:
    """Return whether this process holds a lock on a byte of a file, taken through a descriptor."""
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:
        return False
    return any(_is_lock_on(line.split(), at) for line in lines if line.startswith("lock:"))


def _is_lock_on(words: Sequence[str], at: int) -> bool:
    # lock: 1: POSIX ADVISORY READ <process> <device and inode> <first byte> <last byte>
    _, _, kind, _, mode, _, _, first, last = words
    is_there = int(first) <= at and (last == "EOF" or at <= int(last))
    return kind == "POSIX" and mode in ("READ", "WRITE") and is_there


@dataclass(frozen=True, slots=True)
class Stray:
    """A process that has a file of a ledger open which is no longer the one at its path.

    Attributes:
        pid: The process.
        path: The path that the file had.
    """

    pid: int
    path: str


def find_strays(database: Path) -> Sequence[Stray]:
    """Find the processes of this host that hold files of a ledger which are not at their paths.

    They go by what each process shows to this one's user: under another user, or in another
    container, a process may be left out.

    Args:
        database: The resolved path of the ledger's file.
    """
    first = set(_strays(database))
    if not first:
        return ()
    # A process that ends or closes the ledger just now has deleted a file before it closed it.
    time.sleep(PAUSE_SECONDS)
    return sorted(first & set(_strays(database)), key=lambda each: (each.pid, each.path))


def _strays(database: Path) -> Iterator[Stray]:
    paths = [f"{database}{suffix}" for suffix in SUFFIXES]
    for folder in Path("/proc").glob("[0-9]*/fd"):
        for path in _astray(folder, paths):
            yield Stray(int(folder.parent.name), path)


def _astray(folder: Path, paths: Iterable[str]) -> Iterator[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - as above
    except OSError:
        return
    for name in names:
        # It may have ended by now.
        with suppress(OSError):
            link = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
            path = link.removesuffix(_DELETED)
            if path in paths and _place(f"{folder}/{name}") != _place(path):
                yield path


def _place(path: str) -> Place | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
