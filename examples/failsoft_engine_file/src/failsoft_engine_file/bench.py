"""What the engine `file` is tested on: both halves, and a folder that is taken away and locked.

`failsoft engines test file` finds it by the entry point of the group `failsoft.engine_benches`.
"""

import fcntl
from pathlib import Path
from typing import IO

from failsoft.testing import ForeignMessage
from failsoft.testing.engine_kit import PluginBench
from failsoft_engine_file.adapter import put
from failsoft_engine_file.plugin import PLUGIN, FolderServer


class BreakableFolder(FolderServer):
    """A folder that can be frozen, too: another program holds its lock."""

    _lock: IO[bytes] | None = None

    def freeze(self) -> None:
        """Lock the folder for this program alone."""
        self._lock = (self.folder / ".lock").open("ab")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def thaw(self) -> None:
        """Unlock it."""
        if self._lock is not None:
            self._lock.close()


class FileBench(PluginBench):
    """The engine on a folder of its own.

    Args:
        folder: An empty folder for whatever the server keeps.
    """

    foreign = (
        ForeignMessage(b'{"func": "os.system", "args": ["true"]}'),
        ForeignMessage(b'{"v": 1}'),
        ForeignMessage(b"[1, 2]"),
    )

    def __init__(self, folder: Path) -> None:
        server = BreakableFolder(folder / "messages")
        super().__init__(PLUGIN, server, folder=str(server.folder))

    def plant(self, message: ForeignMessage) -> None:
        """Write a message that no adapter of ours sent."""
        put(self.site.settings.folder / self.name, message.body)
