"""Files of one folder, and no other: an import reads nothing else of its host."""

import errno
import os
import stat
from pathlib import Path
from typing import IO

from failsoft.job_engine.errors import FailsoftError, NonRetryableError

#: File systems whose files are the kernel's, also where a folder holds them.
_KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))
#: Ordinary files, where the operator names a folder of them.
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - nothing is written there

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO would be waited for, and a terminal would become this process's.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: What opening says of a link where none may be followed.
_LINKED = frozenset({errno.ELOOP, errno.ENOTDIR})


class SourceUnavailableError(FailsoftError):
    """The file is not here, or not now; the job is tried again, perhaps on another host."""


def open_below(folder: Path, location: str) -> IO[bytes]:
    """Open a regular file below a folder.

    A path may have `..` and symbolic links as long as they lead to a place below the folder. The
    place is then entered folder by folder from there, and no link is followed on the way: what is
    exchanged for a link meanwhile is refused. What is read is the file that was checked.

    Args:
        folder: The folder; the operator decides on it and on what it holds.
        location: A path; a relative one begins at the folder.

    Raises:
        NonRetryableError: If the path leads out of the folder, or to anything but a regular file.
        SourceUnavailableError: If there is no such file, or it cannot be read.
    """
    try:
        root = folder.resolve(strict=True)
        path = (root / location).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceUnavailableError(f"cannot read {location!r}: {error}") from error
    is_kernels = any(map(path.is_relative_to, _KERNEL)) and not root.is_relative_to(_IN_MEMORY)
    if is_kernels or not path.is_relative_to(root):
        raise NonRetryableError(f"expected a file below {folder}, got {location}")
    return os.fdopen(_opened(root, path), "rb")


def _opened(root: Path, path: Path) -> int:
    try:
        return _regular(_entered(root, path), path)
    except OSError as error:
        if error.errno in _LINKED:
            raise NonRetryableError(
                f"expected a file below {root}, got a link at {path} that was made meanwhile"
            ) from error
        raise SourceUnavailableError(
            f"expected a file on this host, cannot read {path}: {error.strerror}"
        ) from error


def _entered(root: Path, path: Path) -> int:
    """Return the descriptor of a path, entered from a folder without following a link."""
    *folders, name = path.relative_to(root).parts or (".",)
    at = os.open(root, _FOLDER)
    try:
        for each in folders:
            inner = os.open(each, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        # Before it is opened, too: to open a device may be an effect of its own.
        _refuse_irregular(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode, path)
        return os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)


def _regular(opened: int, path: Path) -> int:
    try:
        _refuse_irregular(os.fstat(opened).st_mode, path)
        os.set_blocking(opened, True)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _refuse_irregular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise NonRetryableError(f"expected a regular file, got something else at {path}")
