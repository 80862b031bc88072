"""What is written to RQ's registries about a job: enough for `rq info`, and little more.

Failsoft's jobs have no result, dependents, repeats, callbacks or rate limit in RQ (rule 15), so
nothing of these is read before a job is deleted: a job costs two round trips, at its beginning and
at its end, instead of thirteen, which took a quarter of the time of a busy worker.
"""

from typing import Any

from redis.client import Pipeline

from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus


class StoppedByCommandError(Exception):
    """Makes RQ record that the job was stopped, after its attempt has ended."""


class RegistryWriter(BaseWorker):
    """Write RQ's registries for jobs whose state is in the ledger."""

    def prepare_execution(self, job: Job) -> Execution:
        """Record that a job runs, and remove its message from the intermediate queue."""
        with self.connection.pipeline() as pipeline:
            ttl = self.get_heartbeat_ttl(job)
            execution = Execution.create(job, ttl, pipeline=pipeline, worker_name=self.name)
            self.set_state(WorkerStatus.BUSY, pipeline=pipeline)
            job.prepare_for_execution(self.name, pipeline=pipeline)
            pipeline.persist(job.key)
            pipeline.lrem(self.queues[0].intermediate_queue_key, 1, job.id)
            pipeline.execute()
        self.executions[execution.id] = execution
        return execution

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """Record nothing more: `prepare_execution` did."""

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Note the time, and no heartbeat: the job is deleted right after."""
        job.ended_at = now()

    def handle_job_success(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: StartedJobRegistry,
        execution: Execution,
    ) -> None:
        """Count a job that has ended, and delete it."""
        assert job.started_at is not None  # noqa: S101 - RQ sets both before it calls this
        assert job.ended_at is not None  # noqa: S101
        with self.connection.pipeline() as pipeline:
            self.increment_successful_job_count(pipeline=pipeline)
            self.increment_total_working_time(job.ended_at - job.started_at, pipeline)
            self._delete(job, execution, pipeline)
            pipeline.execute()

    def _delete(self, job: Job, execution: Execution, pipeline: Pipeline) -> None:
        self.cleanup_execution(job, pipeline=pipeline, execution=execution)
        registry: Any = job.execution_registry
        pipeline.delete(job.key, job.dependents_key, job.dependencies_key, registry.key)

    def handle_job_failure(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> None:
        """Record RQ's failure; a job that a command stopped is recorded as stopped."""
        if StoppedByCommandError.__name__ in kwargs.get("exc_string", ""):
            self._stopped_job_id = job.id
        super().handle_job_failure(job, queue, *args, **kwargs)
