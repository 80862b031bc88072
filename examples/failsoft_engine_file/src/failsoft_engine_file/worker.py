"""The half that works: it locks one message after the other and hands each to a free slot.

A message's file is removed as soon as the ledger has decided about its claim. The lock of a worker
that is killed before that ends with its process, and another worker is given the message.
"""

import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from failsoft.engine_api import (
    MAX_BYTES,
    Deadline,
    EngineError,
    EngineSite,
    Link,
    Slots,
    SystemClock,
    WorkerPost,
)
from failsoft_engine_file.adapter import locked, opened, waiting
from failsoft_engine_file.settings import FileSettings

#: How long one look for a free slot takes, and the pause after one that found nothing, in seconds.
LOOK_SECONDS = 0.05
#: How long the folder's lock may take, before it counts as away.
ANSWER = timedelta(seconds=0.5)


class FileWorker:
    """`EngineWorker` on a folder."""

    def __init__(self, site: EngineSite[FileSettings], post: WorkerPost) -> None:
        self._folder = site.settings.folder
        self._queue = self._folder / site.queue_name(post.queue)
        self._slots = Slots(post)
        self._link = Link(f"the folder {self._folder}")

    def run(self, stopping: threading.Event) -> None:
        """Take messages until `stopping` is set; then wait for what runs."""
        while not stopping.is_set():
            found_one = False
            for path in self._look():
                if stopping.is_set() or not self._slots.reserve(LOOK_SECONDS):
                    break
                found_one = self._take(path) or found_one
            if not found_one:
                stopping.wait(LOOK_SECONDS)
        self._slots.close()

    def is_serving(self) -> bool:
        """Return whether the folder could be used the last time."""
        return self._link.is_up

    def _look(self) -> Sequence[Path]:
        try:
            with opened(self._folder, Deadline.after(SystemClock(), ANSWER)):
                self._link.answered()
                return waiting(self._queue)
        except EngineError as error:
            self._link.lost(error)
        return ()

    def _take(self, path: Path) -> bool:
        """Hand a message to the reserved slot, or give the slot back where another has it."""
        with suppress(OSError):  # another worker was quicker, or the folder is away
            file = path.open("rb")
            # Without a name it was processed between the look and the lock.
            if locked(file.fileno(), fcntl.LOCK_EX) and os.fstat(file.fileno()).st_nlink:

                def decided(may_be_forgotten: bool) -> None:
                    if may_be_forgotten:
                        path.unlink(missing_ok=True)
                    file.close()

                self._slots.submit(file.read(MAX_BYTES + 1), decided)
                return True
            file.close()
        self._slots.release()
        return False
