"""Which file system a folder is on, as Linux says it.

The kernel reports the mount of an open folder, by its number. Whatever the table of
mounts holds, that is the right one: mounts on top of others, bind mounts, mounts below a folder
that another one hides, names with spaces or bytes that are no text.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

#: Where nothing is known.
UNKNOWN = "unknown"

_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on, as in `ext4` or `nfs4`.

    `unknown` on systems without `/proc`, and where the mount is none of this process's view.
    """
    # O_PATH opens nothing of the folder's content, and no lock of this process depends on it.
    flags = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC
    with suppress(OSError):
        opened = os.open(folder, flags)
        try:
            mount = _MOUNT_ID.search(Path(f"/proc/self/fdinfo/{opened}").read_bytes())
        finally:
            os.close(opened)
        if mount is not None:
            return type_of(int(mount[1]), _MOUNTS.read_bytes())
    return UNKNOWN


def type_of(mount: int, mounts: bytes) -> str:
    """Return the type of a mount by its number, out of the text of `/proc/self/mountinfo`.

    A line holds the number, the parent's, the device, the root, the mount point, options, optional
    fields up to a single `-`, and then the type; spaces within a field are escaped.
    """
    for line in mounts.split(b"\n"):
        before, separator, after = line.partition(b" - ")
        if separator and before.split(b" ", 1)[0] == str(mount).encode():
            return after.split(b" ", 1)[0].decode("ascii", "replace")
    return UNKNOWN
