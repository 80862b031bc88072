"""The state file of a supervisor, for probes that run a command: `failsoft health`.

There is one for each supervisor in the runtime folder. Its age says whether the supervisor goes on.
"""

import json
import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from failsoft.worker.health.report import HealthReport

logger: logging.Logger = logging.getLogger("failsoft.supervisor")

_NAME = "worker-{pid}.json"


@dataclass(frozen=True, slots=True)
class State:
    """What a supervisor has reported.

    Attributes:
        pid: Its process.
        livez: Why it was not live.
        readyz: Why it was not ready.
        startupz: Which posts had not come up.
    """

    pid: int
    livez: Sequence[str]
    readyz: Sequence[str]
    startupz: Sequence[str]

    @classmethod
    def of(cls, report: HealthReport) -> Self:
        """Return what this process reports now."""
        return cls(os.getpid(), *map(list, (report.livez(), report.readyz(), report.startupz())))


def runtime_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of state files: systemd's, the session's, or one of this user's.

    The last is a folder of the temporary ones, so that a container needs no other.
    """
    if given := environment.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0])
    if session := environment.get("XDG_RUNTIME_DIR"):
        return Path(session) / "failsoft"
    # Not the module `tempfile`, which imports archives and compression.
    temporary = Path(environment.get("TMPDIR") or "/tmp")  # noqa: S108 - its owner is checked
    return temporary / f"failsoft-{os.geteuid()}"


class StateFile:
    """Writes the state of this process; one that cannot be written is logged once.

    Args:
        folder: The runtime folder, which is made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME.format(pid=os.getpid())
        self._failed = False
        with suppress(OSError):
            _forget_ended(folder)

    def write(self, state: State) -> None:
        """Replace the file."""
        try:
            self._replace(json.dumps({**asdict(state), "at": time.monotonic()}))
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning("`failsoft health` finds nothing: %s", error)
            self._failed = True

    def remove(self) -> None:
        """Remove the file, at the end of the process."""
        with suppress(OSError):
            self._path.unlink()

    def _replace(self, text: str) -> None:
        folder = self._path.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        _expect_ours(folder)
        whole = self._path.with_suffix(".new")
        whole.write_text(text)
        whole.replace(self._path)


def states(folder: Path) -> Iterator[tuple[float, State]]:
    """Yield what the supervisors of a folder have reported, with its age in seconds.

    Raises:
        OSError: The folder is another user's.
    """
    if folder.exists():
        _expect_ours(folder)
    for path in sorted(folder.glob(_NAME.format(pid="*"))):
        # It may end between the two.
        with suppress(FileNotFoundError):
            found = json.loads(path.read_text())
            written = found.pop("at")
            yield time.monotonic() - written, State(**found)


def _expect_ours(folder: Path) -> None:
    """Refuse a folder that another user has made under this name, or made a link of it."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or os.geteuid() not in (0, found.st_uid):
        raise OSError(f"expected {folder} to be a folder of this user, got another's")


def _forget_ended(folder: Path) -> None:
    """Remove the files of supervisors that were killed."""
    for path in folder.glob(_NAME.format(pid="*")):
        pid = path.stem.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            path.unlink(missing_ok=True)
