"""The RQ worker: one queue, many slots, on RQ's own `BaseWorker`.

One queue per process, because RQ moves a job safely out of one queue only (RQ-01). The loop is
our own: RQ's ends at the first error that is not a lost connection (RQ-09), and raises out of
the signal handler while a popped job is in hand (RQ-02). Registries, `rq info`, suspend and the
stop commands stay true.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from failsoft.dispatcher.plugins.link import Link
from failsoft.engines.rq.registries import RegistryWriter, StoppedByCommandError
from failsoft.job_engine.crash_points import CRASH_POINTS
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.queue import SafeJob
from failsoft.queue.bounded_replies import ReplyTooLargeError
from failsoft.queue.cluster import cluster_error, is_of_a_cluster
from failsoft.queue.safe_job import Processor
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.timeouts import BaseDeathPenalty
from rq.worker import WorkerStatus

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: How long one look at the queue blocks, in seconds.
BLOCK_SECONDS = 1
#: How often the worker's own records in Redis are refreshed, in seconds.
UPKEEP_SECONDS = 10
#: How long Redis may be silent before the worker no longer counts as serving, in seconds.
SILENT_SECONDS = 10
#: The pauses between two tries to reach Redis, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
#: How long `rq info` shows a worker that has died, in seconds.
WORKER_TTL = 60
#: No id of a job is longer, in bytes: the ledger's, a number, and what they are joined by.
MAX_ID_BYTES = 512

#: Deletes the elements of a list that are longer; they do not leave Redis.
_PURGE = """
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    if #id > tonumber(ARGV[1]) then
        redis.call('LREM', KEYS[1], 0, id)
    end
end
"""


class _NoDeathPenalty(BaseDeathPenalty):
    """RQ's own timeouts are off: they need the main thread, and the ledger has the deadline."""

    def setup_death_penalty(self) -> None:
        """Set up nothing."""

    def cancel_death_penalty(self) -> None:
        """Cancel nothing."""


class SlotWorker(RegistryWriter):
    """Run the jobs of one queue side by side in the slots of one process."""

    death_penalty_class = _NoDeathPenalty

    def __init__(
        self,
        queue: Queue,
        processor: Processor,
        *,
        name: str,
        slots: int,
        rejected: Callable[[MessageRejectedError], None],
        stop_job: Callable[[str], None],
        link: Link,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            queue: The RQ queue, on a client of this worker's own: RQ raises its timeouts (RQ-18).
            processor: What gets the messages.
            name: The worker's name in RQ's registries.
            slots: How many jobs run side by side.
            rejected: Told of messages that are dropped.
            stop_job: Called with the job id when RQ's stop command names one of ours.
            link: Is told whether Redis answers.
        """
        self._processor = processor
        super().__init__(
            [queue],
            name=name,
            connection=queue.connection,
            job_class=SafeJob.bound_to(self._process),
            queue_class=Queue,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            log_job_description=False,
        )
        self._queue = Queue(
            queue.name,
            connection=queue.connection,
            job_class=self.job_class,
            serializer=JSONSerializer,
            death_penalty_class=_NoDeathPenalty,
        )
        self.queues: list[Queue] = [self._queue]
        self._ordered_queues = self.queues
        self._rejected = rejected
        self._stop_job = stop_job
        self._link = link
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="failsoft-slot")
        self._free = threading.BoundedSemaphore(slots)
        self._commanded: set[str] = set()
        self._spoken_at = self._asked_at = float("-inf")
        self._kept_at = float("-inf")
        self._pause = FIRST_PAUSE
        self._suspended = False
        self._stopping = threading.Event()

    @property
    def dequeue_timeout(self) -> int:
        """Return how long one look at the queue blocks."""
        return BLOCK_SECONDS

    @property
    def connection_timeout(self) -> int:
        """Return how long a command may take; RQ's default would be minutes."""
        return BLOCK_SECONDS + 4

    def _set_ip_address(self, connection: Redis) -> None:
        """Leave the address for later: a worker also starts while Redis is away."""
        self.ip_address = "unknown"

    def is_serving(self) -> bool:
        """Tell whether Redis answers, the worker is not suspended, and the loop turns."""
        return not self._suspended and time.monotonic() - self._spoken_at < SILENT_SECONDS

    def run(self, stopping: threading.Event) -> None:
        """Take jobs until `stopping` is set; then wait for those that run.

        Raises:
            ConfigurationError: If Redis has become a cluster.
        """
        self._stopping = stopping
        while not stopping.is_set():
            try:
                self._turn()
                self._pause = FIRST_PAUSE
                self._link.answered()
            except (RedisError, OSError) as error:
                if is_of_a_cluster(error):
                    raise cluster_error("REDIS_URL") from error
                self._link.lost(error)
                stopping.wait(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._pool.shutdown(wait=True)
        with suppress(RedisError, OSError):
            self.teardown()

    def _turn(self) -> None:
        self._keep_up()
        if not self._free.acquire(timeout=BLOCK_SECONDS):
            # Busy is not dead: Redis must be heard all the same, or the heartbeats would stop.
            self._ask_if_suspended()
            return
        started = False
        try:
            found = None if self._is_suspended() else self._take()
            if found is not None:
                started = self._start(found)
        finally:
            if not started:
                self._free.release()

    def _take(self) -> Job | None:
        try:
            found = self.queue_class.dequeue_any(
                [self._queue],
                BLOCK_SECONDS,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            found = None
        except ReplyTooLargeError as error:
            self._drop_too_large(error)
            found = None
        except (RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever stands in Redis, the worker goes on
            self._drop(error)
            found = None
        self._spoken_at = time.monotonic()
        return found[0] if found else None

    def _drop(self, error: Exception) -> None:
        job_id = getattr(error, "job_id", None)
        is_told = isinstance(error, MessageRejectedError)
        text = str(error) if is_told else f"expected a job of ours, got {type(error).__name__}"
        self._rejected(MessageRejectedError(text))
        if job_id is not None:
            self.connection.lrem(self._queue.intermediate_queue_key, 1, job_id)
            if is_told:
                # Too large to be read; it would stay for ever.
                self.connection.delete(self.job_class.key_for(job_id))

    def _drop_too_large(self, error: ReplyTooLargeError) -> None:
        """Drop an id that is no id: its list holds it, and nobody would read that list again."""
        self._rejected(MessageRejectedError(f"expected the id of a job, got: {error}"))
        purge = self.connection.register_script(_PURGE)
        purge([self._queue.intermediate_queue_key], [MAX_ID_BYTES])

    def _start(self, job: Job) -> bool:
        if self._stopping.is_set():
            # Popped while the signal came: the next worker finds it first.
            self._queue.push_job_id(job.id, at_front=True)
        elif self._is_ours(job):
            execution = self.prepare_execution(job)
            self._pool.submit(self._run_slot, job, execution)
            return True
        self.connection.lrem(self._queue.intermediate_queue_key, 1, job.id)
        return False

    def _is_ours(self, job: Job) -> bool:
        try:
            cast("SafeJob", job).check()
        except MessageRejectedError as error:
            self._rejected(error)
            self.connection.delete(job.key)
            return False
        return True

    def _run_slot(self, job: Job, execution: Execution) -> None:
        try:
            # A Redis that is away now only loses its own view; the ledger has the truth.
            with suppress(RedisError, OSError):
                self.perform_job(job, self._queue, execution)
                if CRASH_POINTS.reached is not None:
                    CRASH_POINTS.reached("ack.after")
        except Exception:
            # RQ's bookkeeping failed; nobody waits for this thread's result.
            logger.exception("RQ could not finish job %s", job.id)
        finally:
            self.executions.pop(execution.id, None)
            self._free.release()
            if not self.executions:
                with suppress(RedisError, OSError):
                    self.set_state(WorkerStatus.IDLE)

    def _process(self, wire: object) -> None:
        self._processor(wire)
        if CRASH_POINTS.reached is not None:
            CRASH_POINTS.reached("ack.before")
        job_id = _job_id(wire)
        if job_id in self._commanded:
            self._commanded.discard(job_id)
            raise StoppedByCommandError

    def _is_suspended(self) -> bool:
        busy = time.monotonic() - self._asked_at < BLOCK_SECONDS
        return False if busy and not self._suspended else self._ask_if_suspended()

    def _ask_if_suspended(self) -> bool:
        self._suspended = bool(is_suspended(self.connection))
        self._spoken_at = self._asked_at = time.monotonic()
        if self._suspended:
            self.set_state(WorkerStatus.SUSPENDED)
            self._stopping.wait(BLOCK_SECONDS)
        return self._suspended

    def _keep_up(self) -> None:
        if time.monotonic() - self._kept_at < UPKEEP_SECONDS:
            return
        if not self.connection.hexists(self.key, "birth"):
            # The first time, and after Redis lost its data.
            self.connection.delete(self.key)
            super()._set_ip_address(self.connection)
            self.register_birth()
            self.set_state(WorkerStatus.IDLE)
            self.connection.sadd(Queue.redis_queues_keys, self._queue.key)
        thread: Any = self.pubsub_thread
        if thread is None or not thread.is_alive():
            # It dies silently of a time-out (RQ-19).
            self.subscribe()
        self.heartbeat()
        for execution in list(self.executions.values()):
            self.maintain_heartbeats(execution.job, execution)
        if self.should_run_maintenance_tasks:
            self._clean_registries()
        self._kept_at = time.monotonic()

    def _clean_registries(self) -> None:
        try:
            self.clean_registries()
        except ReplyTooLargeError as error:
            # RQ's own books only; the ledger misses nothing.
            self._rejected(MessageRejectedError(f"expected a registry of RQ's, got: {error}"))

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Go on after a command that was too large to be read."""
        if isinstance(exc, ReplyTooLargeError):
            self._rejected(MessageRejectedError(f"expected an RQ command, got: {exc}"))
        else:
            super()._pubsub_exception_handler(exc, pubsub, pubsub_thread)

    def handle_payload(self, message: Any) -> None:
        """Obey RQ's commands: shutdown, stop-job, stop-execution, kill-horse."""
        try:
            payload = json.loads(message["data"])
            command = payload["command"]
        except (ValueError, KeyError, TypeError):
            self._rejected(MessageRejectedError("expected an RQ command, got something else"))
            return
        if command == "shutdown":
            self._stopping.set()
        elif command in ("stop-job", "stop-execution", "kill-horse"):
            self._stop_executions(command, payload)

    def _stop_executions(self, command: str, payload: dict[str, Any]) -> None:
        for execution in list(self.executions.values()):
            named = {
                "stop-job": payload.get("job_id") == execution.job_id,
                "stop-execution": payload.get("execution_id") == execution.id,
                "kill-horse": True,
            }
            if named[command]:
                # Of the message: RQ's id has a namespace and an epoch around it.
                job_id = _job_id(execution.job.args[0])
                self._commanded.add(job_id)
                self._stop_job(job_id)


def _job_id(wire: object) -> str:
    return str(wire.get("job_id", "")) if isinstance(wire, dict) else ""
