"""The RQ worker: one queue, many slots, on RQ's own `BaseWorker`.

One queue per process, because RQ moves a job safely out of one queue only (RQ-01). RQ's loop is
replaced: it ends at the first error that is not a lost connection (RQ-09), and raises out of the
signal handler while it holds a popped job (RQ-02). Registries, `rq info`, suspend and the stop
commands work as with RQ's worker.
"""

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from failsoft.engine_api import Link, MessageRejectedError, WorkerPost, reached
from failsoft.engines.rq.registries import RegistryWriter, StoppedByCommandError
from failsoft.queue import SafeJob
from failsoft.queue.bounded_replies import ReplyTooLargeError
from failsoft.queue.cluster import cluster_error, is_of_a_cluster
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.timeouts import BaseDeathPenalty
from rq.worker import WorkerStatus

logger: logging.Logger = logging.getLogger("failsoft.worker")

#: How long one read of the queue blocks, in seconds.
BLOCK_SECONDS = 1
#: How often the worker's own records in Redis are refreshed, in seconds.
UPKEEP_SECONDS = 10
#: How long Redis may be silent before the worker no longer counts as serving, in seconds.
SILENT_SECONDS = 10
#: The pauses between two tries to reach Redis, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
#: How long `rq info` shows a worker that has died, in seconds.
WORKER_TTL = 60
#: The longest id of a job in bytes: namespace, the ledger's id, and a number.
MAX_ID_BYTES = 512

#: Deletes the longer elements of a list, without sending them to the client.
_PURGE = """
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    if #id > tonumber(ARGV[1]) then
        redis.call('LREM', KEYS[1], 0, id)
    end
end
"""


class _NoDeathPenalty(BaseDeathPenalty):
    """Switches RQ's timeouts off: they need the main thread, and the ledger has the deadline."""

    def setup_death_penalty(self) -> None:
        """Set up nothing."""

    def cancel_death_penalty(self) -> None:
        """Cancel nothing."""


class SlotWorker(RegistryWriter):
    """Run the jobs of one queue side by side in the slots of one process.

    Args:
        queue: The RQ queue, on a client of this worker's own: RQ raises its timeouts (RQ-18).
        post: The worker's slots, and what is called with messages and stop commands.
        link: Notified whether Redis answers.
    """

    death_penalty_class = _NoDeathPenalty

    def __init__(self, queue: Queue, post: WorkerPost, link: Link) -> None:
        self._processor = post.process
        super().__init__(
            [queue],
            name=f"failsoft-{post.boot_id}",
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
        self._rejected = post.reject
        self._stop_job = post.stop_job
        self._link = link
        self._pool = ThreadPoolExecutor(post.slots, thread_name_prefix="failsoft-slot")
        self._free = threading.BoundedSemaphore(post.slots)
        self._commanded: set[str] = set()
        self._answered_at = self._suspension_read_at = float("-inf")
        self._kept_at = float("-inf")
        self._pause = FIRST_PAUSE
        self._suspended = False
        self._stopping = threading.Event()

    @property
    def dequeue_timeout(self) -> int:
        """Return how long one read of the queue blocks."""
        return BLOCK_SECONDS

    @property
    def connection_timeout(self) -> int:
        """Return how long a command may take; RQ's default would be minutes."""
        return BLOCK_SECONDS + 4

    def _set_ip_address(self, connection: Redis) -> None:
        """Set the address later: a worker also starts while Redis is away."""
        self.ip_address = "unknown"

    def is_serving(self) -> bool:
        """Whether Redis answers, the worker is not suspended, and the loop runs."""
        return not self._suspended and time.monotonic() - self._answered_at < SILENT_SECONDS

    def run(self, stopping: threading.Event) -> None:
        """Take jobs until `stopping` is set; then wait for those that run.

        Raises:
            ConfigurationError: If Redis has become a cluster.
        """
        self._stopping = stopping
        while not stopping.is_set():
            try:
                self._take_one()
                self._pause = FIRST_PAUSE
                self._link.answered()
            except (RedisError, OSError) as error:
                if is_of_a_cluster(error):
                    raise cluster_error("REDIS_URL") from error
                self._link.lost(error)
                stopping.wait(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._pool.shutdown(wait=True)
        self._unregister()

    def _unregister(self) -> None:
        try:
            self.teardown()
        except (RedisError, OSError):
            thread: Any = self.pubsub_thread
            if thread is not None:
                # RQ leaves it to look for commands for ever.
                thread.stop()

    def _take_one(self) -> None:
        self._keep_up()
        if not self._free.acquire(timeout=BLOCK_SECONDS):
            # Every slot is busy: without an answer of Redis the heartbeats would stop.
            self._read_suspension()
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
        except Exception as error:  # noqa: BLE001 - whatever Redis holds, the worker goes on
            self._drop(error)
            found = None
        self._answered_at = time.monotonic()
        return found[0] if found else None

    def _drop(self, error: Exception) -> None:
        job_id = getattr(error, "job_id", None)
        is_too_large = isinstance(error, MessageRejectedError)
        text = str(error) if is_too_large else f"expected a job of ours, got {type(error).__name__}"
        self._rejected(MessageRejectedError(text))
        if job_id is not None:
            self.connection.lrem(self._queue.intermediate_queue_key, 1, job_id)
            if is_too_large:
                # Nothing that reads it would ever delete it.
                self.connection.delete(self.job_class.key_for(job_id))

    def _drop_too_large(self, error: ReplyTooLargeError) -> None:
        """Delete an id that is too long from its list, which could not be read again."""
        self._rejected(MessageRejectedError(f"expected the id of a job, got: {error}"))
        purge = self.connection.register_script(_PURGE)
        purge([self._queue.intermediate_queue_key], [MAX_ID_BYTES])

    def _start(self, job: Job) -> bool:
        if self._stopping.is_set():
            # Popped while the signal arrived: the next worker takes it first.
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
            # If Redis is away now, only its registries are wrong; the ledger has the state.
            with suppress(RedisError, OSError):
                self.perform_job(job, self._queue, execution)
                reached("ack.after")
        except Exception:
            # RQ's bookkeeping failed; the result of this thread is not read.
            logger.exception("RQ could not finish job %s", job.id)
        finally:
            self.executions.pop(execution.id, None)
            self._free.release()
            if not self.executions:
                with suppress(RedisError, OSError):
                    self.set_state(WorkerStatus.IDLE)

    def _process(self, wire: object) -> None:
        self._processor(wire)
        reached("ack.before")
        job_id = _job_id(wire)
        if job_id in self._commanded:
            self._commanded.discard(job_id)
            raise StoppedByCommandError

    def _is_suspended(self) -> bool:
        busy = time.monotonic() - self._suspension_read_at < BLOCK_SECONDS
        return False if busy and not self._suspended else self._read_suspension()

    def _read_suspension(self) -> bool:
        self._suspended = bool(is_suspended(self.connection))
        self._answered_at = self._suspension_read_at = time.monotonic()
        if self._suspended:
            self.set_state(WorkerStatus.SUSPENDED)
            self._stopping.wait(BLOCK_SECONDS)
        return self._suspended

    def _keep_up(self) -> None:
        if time.monotonic() - self._kept_at < UPKEEP_SECONDS:
            return
        if not self.connection.hexists(self.key, "birth"):
            # The first time, and after Redis lost its data.
            super()._set_ip_address(self.connection)
            self._bury()
            self.register_birth()
            self.set_state(WorkerStatus.IDLE)
            self.connection.sadd(Queue.redis_queues_keys, self._queue.key)
        thread: Any = self.pubsub_thread
        if thread is None or not thread.is_alive():
            # It ends silently at a timeout (RQ-19).
            self.subscribe()
        self.heartbeat()
        for execution in list(self.executions.values()):
            self.maintain_heartbeats(execution.job, execution)
        if self.should_run_maintenance_tasks:
            self._clean_registries()
        self._kept_at = time.monotonic()

    def _bury(self) -> None:
        """Let RQ register this worker again, whatever stands under its name.

        A slot that notes its job meanwhile makes a record without a birth, and RQ refuses to
        register a worker that has a record and no death (RQ-23).
        """
        with self.connection.pipeline() as pipeline:
            pipeline.hset(self.key, "death", "")
            pipeline.expire(self.key, WORKER_TTL)
            pipeline.execute()

    def _clean_registries(self) -> None:
        try:
            self.clean_registries()
        except ReplyTooLargeError as error:
            # Only RQ's registries are affected, not the ledger.
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
                # From the message: RQ's own id contains a namespace and an epoch, too.
                job_id = _job_id(execution.job.args[0])
                self._commanded.add(job_id)
                self._stop_job(job_id)


def _job_id(wire: object) -> str:
    return str(wire.get("job_id", "")) if isinstance(wire, dict) else ""
