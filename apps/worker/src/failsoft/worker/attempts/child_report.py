"""What the child process of an attempt reports to the worker that started it, through a pipe."""

import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

_ENDING = b"ending"
_OVER = b"over"
_UNRECORDED = b"unrecorded:"


class ChildReport:
    """The child's end of the pipe. What cannot be sent is dropped: its reader has ended."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe

    def ending(self) -> None:
        """Report that the job's code is over, before the end of the attempt is recorded."""
        self._send(_ENDING)

    def over(self) -> None:
        """Report that the attempt is over, its end recorded or fenced, and its span ended."""
        self._send(_OVER)

    def unrecorded(self, reason: str) -> None:
        """Report why no end of the attempt could be recorded; the parent gives the job back."""
        self._send(_UNRECORDED + reason.encode())

    def _send(self, frame: bytes) -> None:
        with suppress(OSError):
            self._pipe.send_bytes(frame)


class ChildReportReader:
    """The parent's end of the pipe, which its threads may read at any time."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._is_ending = False
        self._is_over = False
        self._unrecorded: str | None = None

    @property
    def is_ending(self) -> bool:
        """Return whether the job's code is over."""
        self._read()
        return self._is_ending

    @property
    def is_over(self) -> bool:
        """Return whether the attempt is over, and nothing of it is left to record."""
        self._read()
        return self._is_over

    @property
    def unrecorded(self) -> str | None:
        """Return why no end could be recorded, if none could."""
        self._read()
        return self._unrecorded

    def _read(self) -> None:
        # A pipe whose other end is closed is readable, and then at its end.
        with self._lock, suppress(EOFError, OSError):
            while self._pipe.poll():
                self._take(self._pipe.recv_bytes())

    def _take(self, frame: bytes) -> None:
        if frame == _ENDING:
            self._is_ending = True
        elif frame == _OVER:
            self._is_over = True
        else:
            self._unrecorded = frame.removeprefix(_UNRECORDED).decode(errors="replace")
