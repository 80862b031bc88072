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
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from failsoft.engine_api import (
    Link,
    MessageRejectedError,
    Slots,
    Submission,
    WorkerPost,
    reached,
)
from failsoft.engines.rq.ends import Ends
from failsoft.engines.rq.registries import Became, End, Registries, Taken
from failsoft.queue import SafeJob
from failsoft.queue.bounded_replies import ReplyTooLargeError
from failsoft.queue.cluster import cluster_error, is_of_a_cluster
from failsoft.queue.safe_job import TOO_LARGE, message_of
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus

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
#: How many jobs are taken at once: Redis serves no other client meanwhile.
MOST_AT_ONCE = 64
#: What RQ's own worker says of a job that a command stopped.
STOPPED = "Job stopped by user, work-horse terminated."


class _NoDeathPenalty(BaseDeathPenalty):
    """Switches RQ's timeouts off: they need the main thread, and the ledger has the deadline."""

    def setup_death_penalty(self) -> None:
        """Set up nothing."""

    def cancel_death_penalty(self) -> None:
        """Cancel nothing."""


class SlotWorker(BaseWorker):
    """Run the jobs of one queue side by side in the slots of one process.

    Args:
        queue: The RQ queue, on a client of this worker's own: RQ raises its timeouts (RQ-18).
        post: The worker's slots, and what is called with messages and stop commands.
        link: Notified whether Redis answers.
    """

    death_penalty_class = _NoDeathPenalty

    def __init__(self, queue: Queue, post: WorkerPost, link: Link) -> None:
        super().__init__(
            [queue],
            name=f"failsoft-{post.boot_id}",
            connection=queue.connection,
            job_class=SafeJob,
            queue_class=Queue,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            log_job_description=False,
        )
        self._queue = queue
        self._post = post
        self._link = link
        self._registries = Registries(queue.connection, queue, self)
        self._ends = Ends(self._write_ends)
        self._slots = Slots(post)
        #: What was taken and is not ended in Redis yet, by its key.
        self._held: dict[bytes, Taken] = {}
        self._commanded: set[str] = set()
        self._answered_at = self._kept_at = float("-inf")
        self._pause = FIRST_PAUSE
        self._is_empty = self._suspended = False
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
        self._ends.start()
        while not stopping.is_set():
            try:
                self._serve()
                self._pause = FIRST_PAUSE
                self._link.answered()
            except (RedisError, OSError) as error:
                if is_of_a_cluster(error):
                    raise cluster_error("REDIS_URL") from error
                self._link.lost(error)
                # A script may have taken jobs whose reply was lost: the upkeep puts them back.
                self._kept_at = float("-inf")
                self._is_empty = False
                stopping.wait(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._slots.close()
        self._ends.close()
        self._unregister()

    def _unregister(self) -> None:
        try:
            self._ends.flush()
            # What was taken as the signal came: the next worker takes it first.
            self._registries.renew(self._held.values())
            self.teardown()
        except (RedisError, OSError):
            thread: Any = self.pubsub_thread
            if thread is not None:
                # RQ leaves it to look for commands for ever.
                thread.stop()

    def _serve(self) -> None:
        """Take as many jobs as there are free slots; wait a while if there is none of either."""
        self._keep_up()
        free = self._slots.reserve_all(BLOCK_SECONDS, MOST_AT_ONCE)
        taken: Sequence[Taken] = ()
        try:
            if free:
                self._wait_for_jobs()
            if not self._stopping.is_set():
                taken = self._take(free)
        finally:
            for _ in range(free - len(taken)):
                self._slots.release()
        self._slots.submit_all([found for job in taken if (found := self._submission(job))])

    def _wait_for_jobs(self) -> None:
        """Wait until there is a job in the queue, or for a while; the job stays there (RQ-04)."""
        if self._suspended:
            self._stopping.wait(BLOCK_SECONDS)
        elif self._is_empty:
            try:
                # To the place where it was: a reply that is lost loses no job.
                self.connection.blmove(
                    self._queue.key, self._queue.key, BLOCK_SECONDS, "LEFT", "LEFT"
                )
            except ReplyTooLargeError:
                # The id of a stranger's, which the next script deletes.
                return

    def _take(self, most: int) -> Sequence[Taken]:
        """Take jobs; also without a free slot, for heartbeats depend on an answer of Redis."""
        reached("take.before")
        batch = self._registries.take(most)
        if batch.jobs:
            reached("take.after")
        self._answered_at = time.monotonic()
        self._note_suspension(batch.is_suspended)
        self._is_empty = len(batch.jobs) + batch.refused < most
        for _ in range(batch.refused):
            self._post.reject(MessageRejectedError(TOO_LARGE))
        if self._stopping.is_set():
            return ()
        self._held.update((job.key, job) for job in batch.jobs)
        return batch.jobs

    def _note_suspension(self, suspended: bool) -> None:
        if suspended:
            self.set_state(WorkerStatus.SUSPENDED)
        elif self._suspended and not self._held:
            self.set_state(WorkerStatus.IDLE)
        self._suspended = suspended

    def _submission(self, job: Taken) -> Submission | None:
        """Return what runs a job in a slot that is reserved for it, if it is ours."""
        try:
            wire = message_of(job.data)
        except MessageRejectedError as error:
            self._slots.release()
            self._post.reject(error)
            self._ends.put(End(job, Became.REFUSED))
            return None
        is_decided = False

        def decided(is_so: bool) -> None:
            nonlocal is_decided
            is_decided = is_so

        def over(failure: Exception | None) -> None:
            self._ends.put(self._end(job, wire, failure, is_decided=is_decided))

        return Submission(wire, decided, over)

    def _end(self, job: Taken, wire: object, failure: Exception | None, *, is_decided: bool) -> End:
        if failure is not None:
            # RQ's registry gets it.
            return End(job, Became.FAILED, f"{type(failure).__name__}: {failure}")
        if not is_decided and self._stopping.is_set():
            # The worker stops, and the ledger has not decided about the message.
            return End(job, Became.BACK)
        job_id = _job_id(wire)
        if job_id in self._commanded:
            self._commanded.discard(job_id)
            return End(job, Became.FAILED, STOPPED)
        return End(job, Became.DONE)

    def _write_ends(self, ends: Sequence[End]) -> None:
        reached("ack.before")
        failed = [end for end in ends if end.became is Became.FAILED]
        rest = [end for end in ends if end.became is not Became.FAILED]
        rest += [End(end.job, Became.REFUSED) for end in failed if not self._fail(end)]
        self._registries.end(rest)
        for end in ends:
            self._held.pop(end.job.key, None)
        reached("ack.after")

    def _fail(self, end: End) -> bool:
        """Let RQ record a failure, or that a command stopped the job; False if there is no job."""
        job_id, execution_id = end.job.job_id, end.job.execution_id.decode()
        try:
            job = self.job_class.fetch(job_id, self.connection, self.serializer)
        except (NoSuchJobError, MessageRejectedError):
            return False
        self._stopped_job_id = job_id if end.error == STOPPED else None
        job.ended_at = now()
        execution = Execution(execution_id, job_id, self.connection, self.name)
        self.handle_job_failure(job, self._queue, exc_string=end.error, execution=execution)
        return True

    def _keep_up(self) -> None:
        if time.monotonic() - self._kept_at < UPKEEP_SECONDS:
            return
        if not self.connection.hexists(self.key, "birth"):
            # The first time, and after Redis lost its data.
            super()._set_ip_address(self.connection)
            self._allow_birth()
            self.register_birth()
            self.set_state(WorkerStatus.IDLE)
            self.connection.sadd(Queue.redis_queues_keys, self._queue.key)
        thread: Any = self.pubsub_thread
        if thread is None or not thread.is_alive():
            # It ends silently at a timeout (RQ-19).
            self.subscribe()
        self.heartbeat()
        put_back = self._registries.renew(list(self._held.values()))
        if put_back:
            logger.info("%d jobs whose take was not answered are in the queue again", put_back)
        if self.should_run_maintenance_tasks:
            self._clean_registries()
        self._kept_at = time.monotonic()

    def _allow_birth(self) -> None:
        """Let RQ register this worker again, whatever stands under its name.

        What is noted of a job meanwhile makes a record without a birth, and RQ refuses to register
        a worker that has a record and no death (RQ-23).
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
            self._post.reject(MessageRejectedError(f"expected a registry of RQ's, got: {error}"))

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Go on after a command that was too large to be read."""
        if isinstance(exc, ReplyTooLargeError):
            self._post.reject(MessageRejectedError(f"expected an RQ command, got: {exc}"))
        else:
            super()._pubsub_exception_handler(exc, pubsub, pubsub_thread)

    def handle_payload(self, message: Any) -> None:
        """Obey RQ's commands: shutdown, stop-job, stop-execution, kill-horse."""
        try:
            payload = json.loads(message["data"])
            command = payload["command"]
        except (ValueError, KeyError, TypeError):
            self._post.reject(MessageRejectedError("expected an RQ command, got something else"))
            return
        if command == "shutdown":
            self._stopping.set()
        elif command in ("stop-job", "stop-execution", "kill-horse"):
            self._stop_executions(command, payload)

    def _stop_executions(self, command: str, payload: dict[str, Any]) -> None:
        for job in list(self._held.values()):
            named = {
                "stop-job": payload.get("job_id") == job.job_id,
                "stop-execution": payload.get("execution_id") == job.execution_id.decode(),
                "kill-horse": True,
            }
            if named[command]:
                # From the message: RQ's own id contains a namespace and an epoch, too.
                job_id = _job_id(message_of(job.data))
                self._commanded.add(job_id)
                self._post.stop_job(job_id)


def _job_id(wire: object) -> str:
    return str(wire.get("job_id", "")) if isinstance(wire, dict) else ""
