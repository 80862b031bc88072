"""The wall clock of one process, set an hour forward or back while it runs.

`libfaketime` reads the offset from a file. Only the wall clock lies: were the monotonic clock
to jump, no program could keep a deadline, and none does on a real machine.
"""

from collections.abc import Mapping
from pathlib import Path

PLACES = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib*/faketime/libfaketimeMT.so.1")
HOUR = 3600


def library() -> Path | None:
    """Find libfaketime; `tests/chaos/install-faketime` installs it."""
    return next((found for place in PLACES for found in sorted(Path("/").glob(place))), None)


class Skew:
    """The offset of one process's wall clock; it takes effect within a second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """Skew the clock; 0 sets it right."""
        # Renamed into place: a reader must never find half a number.
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}\n")
        draft.rename(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what makes a process believe the file; nothing without the library."""
        found = library()
        if found is None:
            return {}
        return {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def tidy() -> None:
    """Remove what killed processes left: one with such a number could not start again."""
    for pattern in ("faketime_shm_*", "sem.faketime_sem_*"):
        for left in Path("/dev/shm").glob(pattern):  # noqa: S108 - libfaketime's own place
            if not Path(f"/proc/{left.name.rpartition('_')[2]}").exists():
                left.unlink(missing_ok=True)
