"""Which files are at the paths of a SQLite ledger: by device and inode, as SQLite goes by them."""

import os
from pathlib import Path
from typing import NamedTuple

from failsoft.ledger.database.sqlite.descriptors import SUFFIXES, Locks, can_look


class Identity(NamedTuple):
    """The device, and the inodes of the database, its log and the index of that."""

    device: int
    database: int
    log: int
    wal_index: int


class Names:
    """The paths of a database, its log and the index of that.

    Attributes:
        modified: When the database was written to, as of the last look that found all whole.
    """

    def __init__(self, database: Path) -> None:
        self.modified: int = 0
        self.database: str
        self.log: str
        self.index: str
        self.database, self.log, self.index = (f"{database}{suffix}" for suffix in SUFFIXES)

    def identity(self) -> Identity | None:
        """Return what is at the paths; None if one of them is missing."""
        stat = os.stat
        try:
            found = stat(self.database)
            return Identity(
                found.st_dev, found.st_ino, stat(self.log).st_ino, stat(self.index).st_ino
            )
        except OSError:
            return None

    def database_inode(self) -> int | None:
        """Return the inode of the database; None if there is none."""
        return _inode(self.database)

    def are_those_of(self, identity: Identity) -> bool:
        """Return whether a database and its log are here; called before every commit."""
        stat = os.stat
        try:
            found = stat(self.database)
            if found.st_ino != identity.database or stat(self.log).st_ino != identity.log:
                return False
        except OSError:
            return False
        self.modified = found.st_mtime_ns
        return True

    def is_log_of(self, identity: Identity) -> bool:
        """Return whether the log of a database is here; called after every commit."""
        return _inode(self.log) == identity.log

    def is_as_before(self, former: Identity) -> bool:
        """Return whether no other process can have written to a database since the last look.

        It would have done that to another log, which is here, or copied its log into the database.
        """
        try:
            found = os.stat(self.database)  # noqa: PTH116 - a name, not a Path, as above
        except OSError:
            return False
        is_same = found.st_ino == former.database and found.st_mtime_ns == self.modified
        return is_same and _inode(self.log) in (None, former.log)

    def keep_log_of(self, former: Identity) -> bool:
        """Return whether another database is here, and the log or the index of a former one."""
        database, log, index = map(_inode, (self.database, self.log, self.index))
        is_another = database not in (None, former.database)
        return is_another and (log == former.log or index == former.wal_index)

    def include(self, path: Path) -> bool:
        """Return whether a path leads to one of them."""
        return any(_is_same(name, path) for name in (self.database, self.log, self.index))


def locks_of(identity: Identity) -> Locks | None:
    """Return this process's locks on a file; None where the system does not list them."""
    if not can_look():
        return None
    database, log, index = ((identity.device, inode) for inode in identity[1:])
    return Locks(database, log, index)


def _inode(name: str) -> int | None:
    try:
        return os.stat(name).st_ino  # noqa: PTH116 - a name, not a Path, as above
    except OSError:
        return None


def _is_same(name: str, path: Path) -> bool:
    try:
        return os.path.samefile(name, path)  # noqa: PTH121 - likewise
    except OSError:
        return False
