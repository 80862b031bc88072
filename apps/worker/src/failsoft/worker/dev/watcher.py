"""Watching for changes of code."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from watchfiles import PythonFilter, watch


class CodeWatcher:
    """Calls back when a Python file in one of the folders has changed, from its own thread."""

    def __init__(self, folders: Sequence[Path], changed: Callable[[Sequence[str]], None]) -> None:
        """Prepare; `start` begins.

        Args:
            folders: The folders to watch, with everything below.
            changed: Called with the changed files, at each change.
        """
        self._folders = folders
        self._changed = changed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="failsoft-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _run(self) -> None:
        for changes in watch(*self._folders, watch_filter=PythonFilter(), stop_event=self._stopped):
            self._changed(sorted({path for _, path in changes}))
