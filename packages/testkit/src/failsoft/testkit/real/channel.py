"""What the test's process and a worker process send each other: a JSON object a line."""

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

#: A message of either side.
Frame = Mapping[str, Any]


class Channel:
    """One end of a stream between two processes.

    Attributes:
        socket: The stream.
    """

    def __init__(self, end: socket.socket) -> None:
        """Take over one end."""
        self.socket: socket.socket = end
        self._lock = threading.Lock()
        self._read = b""

    def send(self, what: str, **more: object) -> bool:
        """Send a message; return whether the other end is open."""
        line = json.dumps({"what": what, **more}, default=str).encode() + b"\n"
        try:
            with self._lock:
                self.socket.sendall(line)
        except OSError:
            return False
        return True

    def receive(self, seconds: float | None = None) -> Frame | None:
        """Return the next message; None where the other end is closed.

        Args:
            seconds: How long to wait at most.

        Raises:
            TimeoutError: None came in time.
        """
        while b"\n" not in self._read:
            if not wait([self.socket], seconds):
                raise TimeoutError
            try:
                found = self.socket.recv(65_536)
            except ConnectionError:
                found = b""
            if not found:
                return None
            self._read += found
        line, _, self._read = self._read.partition(b"\n")
        frame: Frame = json.loads(line)
        return frame

    def end(self) -> None:
        """Send no more, which the other end notices."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close this end."""
        self.socket.close()
