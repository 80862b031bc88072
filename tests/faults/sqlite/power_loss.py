"""A program that dispatches on a disk that loses what was not synced, and is killed.

    python -m tests.faults.sqlite.power_loss LEDGER-FILE JOBS [PRAGMA]

Beside each file of SQLite's, `<file>.durable` holds what a power loss would leave of it: what was
written before the last sync. A PRAGMA, such as `synchronous = NORMAL`, is executed on every
connection, for a test that shows what it would cost.
"""

import ctypes
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from failsoft.ledger import Database, SqlLedger
from tests.faults.postgresql.lost_replies import LedgerCalls

DURABLE = ".durable"
OK = 0
POINTER = ctypes.c_void_p

WRITE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, ctypes.c_int, ctypes.c_int64)
TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.c_int64)
SYNC = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.c_int)
OPEN = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_int, POINTER)


class Methods(ctypes.Structure):
    """`sqlite3_io_methods`: a version and 18 functions, of which these may be replaced."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", POINTER),
        ("read", POINTER),
        ("write", POINTER),
        ("truncate", POINTER),
        ("sync", POINTER),
        ("rest", POINTER * 13),
    )


class Vfs(ctypes.Structure):
    """`sqlite3_vfs`: what it is, and its functions, of which the first opens files."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_bytes", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", POINTER),
        ("name", ctypes.c_char_p),
        ("data", POINTER),
        ("open", POINTER),
        ("rest", POINTER * 15),
    )


class Disk:
    """What is on the platters, and what is still on its way there."""

    def __init__(self) -> None:
        self._waiting: dict[Path, list[tuple[int, bytes | None]]] = {}

    def write(self, path: Path, at: int, data: bytes | None) -> None:
        """Take bytes at a place, or with None the end of the file."""
        self._waiting.setdefault(path, []).append((at, data))

    def sync(self, path: Path) -> None:
        with Path(f"{path}{DURABLE}").open("r+b" if self._has(path) else "w+b") as file:
            for at, data in self._waiting.pop(path, []):
                file.seek(at)
                file.truncate() if data is None else file.write(data)

    def _has(self, path: Path) -> bool:
        return Path(f"{path}{DURABLE}").exists()


class Lossy:
    """SQLite's own way to its files, with a disk that forgets put under it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._kept: list[object] = []
        self._paths: dict[int, Path] = {}
        self._library = ctypes.CDLL(sys.modules["_sqlite3"].__file__)

    def install(self) -> None:
        """Become the way that every connection from now on takes."""
        self._library.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
        usual = self._library.sqlite3_vfs_find(None).contents
        ours = Vfs.from_buffer_copy(usual)
        ours.open = self._keep(OPEN(self._open(OPEN(usual.open))))
        self._kept.append(ours)
        assert self._library.sqlite3_vfs_register(ctypes.byref(ours), 1) == OK

    def _open(self, usual: Callable[..., int]) -> Callable[..., int]:
        def open_(*given: Any) -> int:
            # The name is passed on as the pointer it is: SQLite keeps it, and more behind it.
            _, name, file, _, _ = given
            status = usual(*given)
            if status == OK and name:
                self._paths[file] = Path(os.fsdecode(ctypes.string_at(name)))
                self._wrap(file)
            return status

        return open_

    def _wrap(self, file: int) -> None:
        place = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(Methods)))
        usual = place.contents.contents
        ours = Methods.from_buffer_copy(usual)
        write, truncate, sync = WRITE(usual.write), TRUNCATE(usual.truncate), SYNC(usual.sync)

        def write_(file: int, data: int, size: int, at: int) -> int:
            self._disk.write(self._paths[file], at, ctypes.string_at(data, size))
            return write(file, data, size, at)

        def truncate_(file: int, size: int) -> int:
            self._disk.write(self._paths[file], size, None)
            return truncate(file, size)

        def sync_(file: int, flags: int) -> int:
            self._disk.sync(self._paths[file])
            return sync(file, flags)

        ours.write = self._keep(WRITE(write_))
        ours.truncate = self._keep(TRUNCATE(truncate_))
        ours.sync = self._keep(SYNC(sync_))
        self._kept.append(ours)
        place[0] = ctypes.pointer(ours)

    def _keep(self, function: Any) -> int | None:
        # What C calls must not be collected.
        self._kept.append(function)
        return ctypes.cast(function, POINTER).value


def main(file: str, jobs: str, pragma: str = "") -> None:
    lossy = Lossy(Disk())  # kept until the end, for SQLite calls into it
    lossy.install()
    database = Database(f"sqlite:///{file}")
    if pragma:
        event.listen(database.engine, "connect", _executing(pragma))
    ledger = SqlLedger(database)
    for number in range(int(jobs)):
        assert LedgerCalls(ledger, f"job-{number}").record()
        print(f"job-{number}", flush=True)  # noqa: T201 - accepted, and the test holds us to it
    os.kill(os.getpid(), signal.SIGKILL)


def _executing(pragma: str) -> Callable[[sqlite3.Connection, object], None]:
    return lambda connection, _: connection.execute(f"PRAGMA {pragma}").close()


if __name__ == "__main__":
    main(*sys.argv[1:])
