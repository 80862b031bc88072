"""The wall clock of a process, set forward or back while it runs.

A small library of ours, loaded before the C library, answers for the wall clock with the offset
that a file says; processes with one file have one clock, as on a host. It shows tens of
microseconds. Only the wall clock lies: were the monotonic clock to jump, no program could
keep a deadline, and none does on a real machine.

Debian's libfaketime (0.9.10) cannot do this. Told to leave the monotonic clock alone, it still
takes the absolute monotonic deadline of `clock_nanosleep` for one of the wall clock, which is how
Python sleeps since 3.11: with any offset, even none, every `time.sleep` raises `EINVAL` at once.
Left to fake the monotonic clock, too, it makes every timeout and every lease jump with the skew.
"""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("skew.c")
HOUR = 3600


def build_library(folder: Path) -> Path | None:
    """Compile the library into a folder; None where there is no C compiler for Linux."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc/self").exists():
        return None
    library = folder / "skew.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
    return library


class Skew:
    """The offset of the wall clock of one process, or of several; it takes effect at once."""

    def __init__(self, file: Path, library: Path | None) -> None:
        self._file = file
        self._library = library
        file.write_bytes(struct.pack("l", 0))

    def set(self, seconds: float) -> None:
        """Skew the clock; 0 sets it right."""
        # In place and at once: the process has these bytes in its memory.
        descriptor = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(descriptor, struct.pack("l", round(seconds * 1e9)), 0)
        finally:
            os.close(descriptor)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what makes a process believe the file; nothing without the library."""
        if self._library is None:
            return {}
        return {"LD_PRELOAD": str(self._library), "CHAOS_SKEW": str(self._file)}
