"""The engine `file`, plugged in."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from failsoft.engine_api import (
    BoundedCaller,
    Engine,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Finding,
    QueueProfile,
    WorkerPost,
    fine,
)
from failsoft_engine_file.adapter import FileEngine
from failsoft_engine_file.settings import FileSettings
from failsoft_engine_file.worker import FileWorker

#: How many offers of one process may be under way at once.
CALLER_THREADS = 8


class FilePlugin(EnginePlugin[FileSettings]):
    """A folder of files."""

    kind = "file"
    title = "a folder of files"
    settings = FileSettings

    def build(self, site: EngineSite[FileSettings]) -> Engine:
        """Return the half that offers."""
        return Engine(FileEngine(site), BoundedCaller(site.name, threads=CALLER_THREADS))

    def build_worker(self, site: EngineSite[FileSettings], post: WorkerPost) -> EngineWorker:
        """Return the half that works."""
        return FileWorker(site, post)

    def prepare(
        self, site: EngineSite[FileSettings], queues: Sequence[QueueProfile]
    ) -> Iterator[Finding]:
        """Make the folder; those of the queues are made by offers."""
        folder = site.settings.folder
        is_there = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        yield fine(str(folder), "is there" if is_there else "created")

    def address(self, settings: FileSettings) -> tuple[str, str | None]:
        """Return the setting that leads to the folder."""
        is_given = "folder" in settings.model_fields_set
        return "folder", str(settings.folder) if is_given else None

    def embedded(self, folder: Path, url: str | None) -> "FolderServer":
        """Return a folder for `failsoft dev` and `failsoft demo`."""
        return FolderServer(Path(url) if url else folder)


class FolderServer:
    """A folder as a server: it is there from `start` to `stop`, and keeps its files."""

    def __init__(self, folder: Path) -> None:
        self.url: str = str(folder)
        self.folder: Path = folder
        self._away = folder.with_name(f"{folder.name}.away")

    @property
    def is_running(self) -> bool:
        """Whether the folder is there."""
        return self.folder.exists()

    def start(self) -> None:
        """Let the folder be there."""
        if self._away.exists():
            self._away.rename(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        """Take the folder away."""
        if self.folder.exists():
            self.folder.rename(self._away)

    def kill(self) -> None:
        """Do the same: there is no process."""
        self.stop()


PLUGIN = FilePlugin()
