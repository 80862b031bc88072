"""The half that offers: each message is a file, in a folder of its queue.

The folder stands for a broker. While it is not there, the engine is away; while another program
holds its lock exclusively (`flock FOLDER/.lock tar ...`), it answers nothing.
"""

import fcntl
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from failsoft.engine_api import (
    Deadline,
    EngineError,
    EngineHealth,
    EngineSite,
    EngineUnavailableError,
    Message,
    QueueProfile,
    to_body,
)
from failsoft_engine_file.settings import FileSettings


class FileEngine:
    """`EngineAdapter` on a folder."""

    def __init__(self, site: EngineSite[FileSettings]) -> None:
        self.name: str = site.name
        self._site = site

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Write the message into the queue's folder; once its file is there, it is offered.

        Raises:
            EngineUnavailableError: The folder is away or locked; the message is not there.
        """
        with opened(self._site.settings.folder, deadline):
            put(self._folder_of(queue), to_body(message))

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Write a file that no worker takes, and count those that wait."""
        try:
            with opened(self._site.settings.folder, deadline):
                folder = self._folder_of(queue)
                put(folder, b"", hidden=True).unlink()
                return EngineHealth(True, f"{folder} takes files", len(waiting(folder)))
        except EngineError as error:
            return EngineHealth(False, str(error))

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Leave it there: the ledger refuses what is void when a worker is given it."""

    def _folder_of(self, queue: QueueProfile) -> Path:
        return self._site.settings.folder / self._site.queue_name(queue)


@contextmanager
def opened(folder: Path, deadline: Deadline) -> Iterator[None]:
    """Hold the folder's lock, shared with others; all errors of the system are translated here.

    No fsync: what is lost with the power is offered again after its pickup deadline.
    """
    try:
        with (folder / ".lock").open("ab") as lock:
            while not locked(lock.fileno(), fcntl.LOCK_SH):
                if deadline.passed:
                    raise EngineUnavailableError(f"{folder} is locked by another program")
                time.sleep(0.01)
            yield
    except OSError as error:
        raise EngineUnavailableError(f"{folder} cannot be used: {error}") from error


def locked(file: int, how: int) -> bool:
    """Lock a file in one way or the other, unless another holds it."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def put(folder: Path, body: bytes, *, hidden: bool = False) -> Path:
    """Write a file into a queue's folder, so that it is there whole or not at all."""
    folder.mkdir(exist_ok=True)
    name = f"{time.time_ns():020}-{secrets.token_hex(4)}"
    unfinished = folder / f".{name}"
    unfinished.write_bytes(body)
    return unfinished if hidden else unfinished.rename(folder / name)


def waiting(folder: Path) -> Sequence[Path]:
    """Return the messages of a queue, the oldest first."""
    return sorted(folder.glob("[!.]*"))
