"""The pipe on which a worker process reports to its supervisor that it is up and serves."""

import os
from contextlib import suppress

#: Written when the process has been put together, and at each heartbeat while it serves.
UP, SERVING = b"u", b"s"
#: More than a process writes between two reads.
_MANY = 4096


class BeatPipe:
    """The supervisor's side; the process inherits `write_end`."""

    def __init__(self) -> None:
        self.write_end: int
        self._read_end, self.write_end = os.pipe()
        # Neither side ever waits for the other.
        os.set_blocking(self._read_end, False)
        os.set_blocking(self.write_end, False)

    def handed_over(self) -> None:
        """Close the end that only the process writes to, once it has started."""
        os.close(self.write_end)

    def read(self) -> bytes:
        """Return what has been written since the last call."""
        try:
            return os.read(self._read_end, _MANY)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close the supervisor's end, after the process has ended."""
        os.close(self._read_end)


class Beats:
    """The process's side.

    Args:
        write_end: The inherited end of the pipe; None where no supervisor reads.
    """

    def __init__(self, write_end: int | None = None) -> None:
        self._write_end = write_end
        if write_end is not None:
            # Programs that a job starts do not report for the worker.
            os.set_inheritable(write_end, False)

    def up(self) -> None:
        """Report that the process has been put together."""
        self._write(UP)

    def serving(self) -> None:
        """Report that the process serves now."""
        self._write(SERVING)

    def _write(self, beat: bytes) -> None:
        if self._write_end is not None:
            # A supervisor that stands still reads nothing, and one that is gone is no concern here.
            with suppress(OSError):
                os.write(self._write_end, beat)
