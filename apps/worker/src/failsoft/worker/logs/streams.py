"""Standard streams that may be closed, full, or unread, which must not stop a worker.

See docs/decisions/0033.
"""

import errno
import logging
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

#: How long a line may wait for room before lines are counted instead of written, in seconds.
PATIENCE_SECONDS = 1.0
#: The errors of a stream that is full, because it is read slowly or not at all.
_FULL = (errno.EAGAIN, errno.EWOULDBLOCK)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes to a descriptor without waiting.

    Attributes:
        write: Writes as much as there is room for.
        close: Closes what was opened for that.
    """

    write: Callable[[bytes], int]
    close: Callable[[], object]


def open_standard_streams() -> None:
    """Open the streams that this process was started without, before a file gets their number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor, which is this one, is opened.
            os.open(os.devnull, os.O_RDWR)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - for good


class PatientHandler(logging.Handler):
    """Writes log records to standard error, without waiting for its reader.

    Lines that it cannot take are counted, and a line with their number follows when it can.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._writer = writer(descriptor)
        self._lost = 0
        # Whether only a part of the last line was written.
        self._is_cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)
            return
        lost = self._lost
        # Together: a pipe may have room for the note, and none for the line.
        if self._put(f"{self._note(lost)}\n{line}" if lost else line):
            self._lost -= lost

    def close(self) -> None:
        """Close what was opened."""
        self._writer.close()
        super().close()

    def _note(self, lost: int) -> str:
        return self.format(
            logging.LogRecord(
                "failsoft.worker",
                logging.WARNING,
                __file__,
                0,
                "%d lines of the log were lost: standard error could not be written",
                (lost,),
                None,
            )
        )

    def _put(self, line: str) -> bool:
        rest = f"{line}\n".encode(errors="backslashreplace")
        # After a lost line, no further line waits.
        ends = time.monotonic() + (0.0 if self._lost else PATIENCE_SECONDS)
        if self._is_cut:
            rest = b"\n" + rest
        whole = len(rest)
        while rest:
            try:
                rest = rest[self._writer.write(rest) :]
            except OSError as error:
                if error.errno not in _FULL or not self._has_room_by(ends):
                    self._lost += 1
                    self._is_cut = self._is_cut or len(rest) < whole
                    return False
        self._is_cut = False
        return True

    def _has_room_by(self, ends: float) -> bool:
        left = ends - time.monotonic()
        if left <= 0:
            return False
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(left * 1000))


def writer(descriptor: int) -> Writer:
    """Return what writes to a descriptor, without waiting where the system allows it."""
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:
        return _plain(descriptor)
    if stat.S_ISSOCK(kind):
        return _to_socket(descriptor)
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        return _to_pipe(descriptor)
    return _plain(descriptor)


def _plain(descriptor: int) -> Writer:
    return Writer(lambda data: os.write(descriptor, data), lambda: None)


def _to_socket(descriptor: int) -> Writer:
    connection = socket.socket(fileno=os.dup(descriptor))
    return Writer(lambda data: connection.send(data, socket.MSG_DONTWAIT), connection.close)


def _to_pipe(descriptor: int) -> Writer:
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    # Opened again: the flags of the descriptor are shared with other processes.
    with suppress(OSError):
        own = os.open(f"/proc/self/fd/{descriptor}", flags)
        return Writer(lambda data: os.write(own, data), lambda: os.close(own))
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def write(data: bytes) -> int:
        # A pipe with any room has room for `PIPE_BUF` bytes.
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(descriptor, data[: select.PIPE_BUF])

    return Writer(write, lambda: None)
