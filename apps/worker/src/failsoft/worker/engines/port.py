"""What a worker process needs of an engine's worker side."""

import threading
from typing import Protocol


class EngineWorker(Protocol):
    """Take messages from an engine and hand them to the processor."""

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; then take no more and wait for what runs.

        Raises:
            FailsoftError: If it cannot go on; the supervisor starts another.
        """
        ...

    def is_serving(self) -> bool:
        """Tell whether it would take a message that arrived now."""
        ...
