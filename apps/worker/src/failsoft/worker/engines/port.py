"""The interface between a worker process and the worker side of its engine."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from failsoft.dispatcher.engines.config import EngineConfig
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.queue.safe_job import Processor


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What the worker side of an engine is built from.

    Attributes:
        config: The settings that engines share.
        queue: The queue to serve.
        name: The worker's name, unique among all workers.
        grace: How long running attempts may take when the worker stops.
        processor: Called with each message.
        rejected: Called with the error of each message that is dropped.
        stop_job: Called with the job id when a stop command of the engine names a job.
    """

    config: EngineConfig
    queue: QueueProfile
    name: str
    grace: timedelta
    processor: Processor
    rejected: Callable[[MessageRejectedError], None]
    stop_job: Callable[[str], object]


class EngineWorker(Protocol):
    """Takes messages from an engine and passes them to the processor."""

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; then take no more messages and wait for what runs.

        Raises:
            FailsoftError: If it cannot go on; the supervisor starts another.
        """
        ...

    def is_serving(self) -> bool:
        """Whether it would take a message that arrived now."""
        ...
