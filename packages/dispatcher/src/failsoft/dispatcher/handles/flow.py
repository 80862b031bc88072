"""The handles of a chain and of a group."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from failsoft.dispatcher.handles.job import HandleLedger, JobHandle
from failsoft.dispatcher.handles.waiting import (
    PATIENCE,
    apoll,
    changes,
    expect_timeout,
    poll,
)
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.errors import ResultTimeoutError
from failsoft.job_engine.records.groups import GroupRecord, member_id

R = TypeVar("R")


class ChainHandle(Generic[R]):
    """A dispatched chain.

    Attributes:
        jobs: Its jobs, in their order.
        created: Whether this dispatch made it; False if its id had been used before.
    """

    def __init__(self, jobs: Sequence[JobHandle[Any]], clock: Clock, *, created: bool) -> None:
        self.jobs: tuple[JobHandle[Any], ...] = tuple(jobs)
        self.created = created
        self._clock = clock

    def __repr__(self) -> str:
        return f"ChainHandle({', '.join(job.id for job in self.jobs)})"

    @property
    def last(self) -> JobHandle[R]:
        """The handle of its last job."""
        return self.jobs[-1]

    def result(self, timeout: timedelta = PATIENCE) -> R:
        """Wait for the chain to end and return the result of its last job.

        Raises:
            JobFailedError: If one of its jobs failed; the others after it were cancelled.
            JobCancelledError: If one was cancelled.
            ResultTimeoutError: If it has not ended in time; it goes on.
        """
        expect_timeout(timeout)
        deadline = Deadline.after(self._clock, timeout)
        # The first that did not succeed is the reason why those after it were cancelled.
        for job in self.jobs[:-1]:
            job.result(timedelta(seconds=deadline.remaining()))
        return self.last.result(timedelta(seconds=deadline.remaining()))

    async def aresult(self, timeout: timedelta = PATIENCE) -> R:
        """Do as `result` without blocking the event loop; to cancel it leaves the chain alone."""
        expect_timeout(timeout)
        ends_at = time.monotonic() + timeout.total_seconds()
        for job in self.jobs[:-1]:
            await job.aresult(_until(ends_at))
        return await self.last.aresult(_until(ends_at))

    def cancel(self) -> None:
        """Cancel what has not ended; the job that runs is requested to stop."""
        # From the end: nothing starts meanwhile.
        for job in reversed(self.jobs):
            job.cancel()


class GroupHandle:
    """A dispatched group: how far it has come, until it is over.

    Attributes:
        id: The group's id.
        completion: Its completion job, if it has one.
    """

    def __init__(
        self,
        group_id: str,
        ledger: HandleLedger,
        clock: Clock,
        *,
        completion: JobHandle[Any] | None = None,
    ) -> None:
        self.id = group_id
        self.completion = completion
        self._ledger = ledger
        self._clock = clock

    def __repr__(self) -> str:
        return f"GroupHandle({self.id!r})"

    @property
    def job_ids(self) -> tuple[str, ...]:
        """The ids of its jobs, in the order they were given."""
        return tuple(member_id(self.id, place) for place in range(self.progress().total))

    def progress(self) -> GroupRecord:
        """Return how many jobs it has and how many have ended, succeeded, failed, ..."""
        return self._ledger.group(self.id)

    def wait(self, timeout: timedelta = PATIENCE) -> GroupRecord:
        """Wait until all of its jobs have ended, in whatever state; return their counts.

        Raises:
            ResultTimeoutError: If they have not in time; they go on.
        """
        return self._expect_over(poll(self.progress, _is_over, self._clock, timeout), timeout)

    async def await_end(self, timeout: timedelta = PATIENCE) -> GroupRecord:
        """Do as `wait` without blocking the event loop; to cancel it leaves the group alone."""
        return self._expect_over(await apoll(self.progress, _is_over, timeout), timeout)

    async def aprogress(self) -> GroupRecord:
        """Do as `progress` without blocking the event loop."""
        return await in_thread(self.progress)

    def watch(self) -> AsyncIterator[GroupRecord]:
        """Yield the counts as they are, and each time that they have changed, until it is over.

        It waits as long as the jobs take; `asyncio.timeout` bounds it.
        """
        return changes(self.progress, _is_over)

    def cancel(self) -> None:
        """Cancel its jobs and its completion job; those that run are requested to stop."""
        if self.completion is not None:
            self.completion.cancel()
        for job_id in self.job_ids:
            self._ledger.cancel(job_id, "group handle")

    def _expect_over(self, group: GroupRecord, timeout: timedelta) -> GroupRecord:
        if group.is_over:
            return group
        raise ResultTimeoutError(
            f"expected the jobs of group {self.id} to end within {timeout}, got "
            f"{group.ended} of {group.total}; they go on, ask again later"
        )


def _is_over(group: GroupRecord) -> bool:
    return group.is_over


def _until(ends_at: float) -> timedelta:
    return timedelta(seconds=max(0.0, ends_at - time.monotonic()))
