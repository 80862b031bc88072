"""`Testkit`: a Failsoft for one test, to run, to break and to look at."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.job import JobHandle
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.errors import JobFailedError, OptionInvalidError
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.testkit.breaking import Breaking
from failsoft.testkit.perform import perform
from failsoft.testkit.results import Attempt, Drained, DrainLimitError, Performed
from failsoft.testkit.world import ALL_JOBS, UNFINISHED, World

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: How many attempts a drain runs at most, unless it is told otherwise.
MOST_JOBS = 1000


class Testkit(Breaking):
    """A Failsoft for one test: a ledger, engines with workers, and a clock.

    Nothing runs by itself: a dispatch records and offers a job, `drain` runs what is due, and
    time passes in `travel`.
    """

    __test__ = False  # pytest is not to collect it

    def __init__(self, world: World) -> None:
        """Drive a world, whose dispatches it notes."""
        super().__init__(world)
        self._is_inline = False
        self._is_draining = False
        world.dispatcher.dispatched = self._note

    # Running

    def register(self, *jobs: AnyDefinition) -> None:
        """Add jobs that this process does not dispatch, and fire their schedules.

        Raises:
            DuplicateJobError: Another job of a name is there.
        """
        for each in jobs:
            self._world.catalogue.register(each)
        self._world.schedule([each.name for each in jobs if each.schedule is not None])

    def drain(
        self,
        queue: str | None = None,
        *,
        with_scheduled: bool = False,
        jobs: int = MOST_JOBS,
        raise_on_failure: bool = True,
    ) -> Drained:
        """Run what is due on the engines that it was offered to, until nothing is.

        Args:
            queue: Only this queue's.
            with_scheduled: Let the time pass, too, to whatever waits for its time.
            jobs: How many attempts to run at most.
            raise_on_failure: Raise what the handler of a job raised that fails for good.

        Raises:
            DrainLimitError: After so many attempts jobs are still due.
            UnknownQueueError: No such queue is declared.
            RuntimeError: Called in a coroutine, which is to await `adrain`.
        """
        if queue is not None:
            queue_profile(queue)
        _expect_no_loop()
        ran, stale = list[Attempt](), 0
        while True:
            found, void = self._run(queue, jobs - len(ran))
            ran.extend(found)
            stale += void
            self._raise_failed(found, raise_on_failure=raise_on_failure)
            self._expect_fewer(ran, jobs, queue)
            failed = bool(found) and found[-1].state is JobState.FAILED
            if not failed and not (with_scheduled and self._go_to_next()):
                return _drained(ran, stale)

    async def adrain(
        self,
        queue: str | None = None,
        *,
        with_scheduled: bool = False,
        jobs: int = MOST_JOBS,
        raise_on_failure: bool = True,
    ) -> Drained:
        """Do as `drain`, beside the event loop; `async def` handlers run in the caller's loop.

        What they await may thus be objects of the test's loop, such as a client or a lock.
        """
        self._world.use_loop(asyncio.get_running_loop())
        try:
            return await asyncio.to_thread(
                self.drain,
                queue,
                with_scheduled=with_scheduled,
                jobs=jobs,
                raise_on_failure=raise_on_failure,
            )
        finally:
            self._world.use_loop(None)

    def run_next(self, queue: str | None = None) -> Attempt | None:
        """Run one attempt of what is due; return it, or None if nothing is."""
        ran, _ = self._run(queue, 1)
        return ran[0] if ran else None

    def perform(
        self,
        job: JobDefinition[P, R],
        payload: P,
        *,
        attempt: int = 1,
        steps: Mapping[str, object] | None = None,
        events: Mapping[str, object] | None = None,
    ) -> Performed:
        """Call one handler with one payload, apart from the other jobs of the test.

        Args:
            job: The job; it is not dispatched.
            payload: What it works on; it goes through JSON, as in a dispatch.
            attempt: What `ctx.attempt` is.
            steps: Steps that count as recorded, by name, with what they returned.
            events: Events that have been sent to the job, by name, with their payloads.

        Raises:
            Exception: What the handler raised.
        """
        return perform(
            *(job, payload),
            attempt=attempt,
            steps=steps or {},
            events=events or {},
            start=self._world.now(),
        )

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Drain at each dispatch: its job has run when the dispatch returns."""
        before, self._is_inline = self._is_inline, True
        try:
            yield
        finally:
            self._is_inline = before

    # Time

    def freeze(self) -> datetime:
        """Return the moment at which the ledger's clock is; in memory it moves by `travel` only."""
        return self._world.now()

    def travel(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> datetime:
        """Let time pass, and return the moment at which the ledger's clock is then.

        Leases run out, rescuers look, engines are probed, what waits comes due and schedules
        fire, each in its order. Attempts run in the next `drain`.

        Raises:
            OptionInvalidError: The span is not positive.
        """
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        if span <= timedelta(0):
            raise OptionInvalidError(f"expected a span of time above zero, got {span}")
        self._world.pass_time(span)
        return self._world.now()

    def travel_to(self, moment: datetime) -> datetime:
        """Let time pass until a moment; see `travel`.

        Raises:
            OptionInvalidError: It has no time zone, or has passed.
        """
        if moment.tzinfo is None:
            raise OptionInvalidError(f"expected a moment with a time zone, got {moment!r}")
        now = self._world.now()
        if moment <= now:
            raise OptionInvalidError(f"expected a moment after {now}, got {moment}")
        return self.travel(seconds=(moment - now).total_seconds())

    # Waiting

    def send_event(
        self,
        name: str,
        payload: object = None,
        *,
        to: JobHandle[Any] | str | None = None,
        key: str | None = None,
    ) -> int:
        """Send an event to a job that waits for it, now or later; return how many it woke."""
        return self._world.dispatcher.send_event(name, payload, to=to, key=key)

    def trigger(self, job: JobDefinition[P, R]) -> JobHandle[R]:
        """Dispatch the job of a schedule now, without a tick.

        Raises:
            OptionInvalidError: The job has no schedule.
        """
        return self._world.dispatcher.schedules().trigger(job)

    # The end of a test

    def unfinished(self) -> list[JobRecord]:
        """Return the jobs that are due, and those whose worker died."""
        states = list(UNFINISHED)
        jobs = self._world.ledger.list_jobs(limit=ALL_JOBS, states=states)
        return [each for each in reversed(jobs) if self._is_due(each)]

    def close(self) -> None:
        """End it, and let go of what it holds."""
        self._world.close()

    def _is_due(self, job: JobRecord) -> bool:
        if job.state is JobState.SCHEDULED:
            return job.run_at is not None and job.run_at <= self._world.now()
        return True

    def _run(self, queue: str | None, most: int) -> tuple[list[Attempt], int]:
        self._is_draining = True
        try:
            ran, stale = self._world.run(queue, most)
            return list(ran), stale
        finally:
            self._is_draining = False

    def _go_to_next(self) -> bool:
        """Let the time pass to the next job that waits for its time; return whether one does."""
        jobs = self._world.ledger.list_jobs(limit=ALL_JOBS, states=list(UNFINISHED))
        now = self._world.now()
        times = [each.run_at for each in jobs if each.run_at is not None and each.run_at > now]
        if not times:
            return False
        # The stager looks when the moment has come, not before.
        self._world.pass_time(min(times) - now + timedelta(milliseconds=1))
        return True

    def _raise_failed(self, ran: list[Attempt], *, raise_on_failure: bool) -> None:
        failed = [each for each in ran if each.state is JobState.FAILED]
        if not failed or not raise_on_failure:
            return
        job = self._world.ledger.get(failed[0].job_id)
        step = self._world.step_of(job.id)
        where = f" in step {step!r}" if step else ""
        error = self._world.error_of(job.id) or _recorded(job)
        error.add_note(f"raised by job {job.name} {job.id}{where}, attempt {job.claims}")
        raise error

    def _expect_fewer(self, ran: list[Attempt], most: int, queue: str | None) -> None:
        if len(ran) < most or not self._due(queue):
            return
        counts = Counter(each.name for each in ran).most_common()
        names = ", ".join(f"{name} x{count}" for name, count in counts)
        raise DrainLimitError(
            f"still due after {most}: {names}; does a job dispatch itself? Give jobs= to run more"
        )

    def _due(self, queue: str | None) -> list[JobRecord]:
        return [each for each in self.unfinished() if queue in (None, each.queue)]

    def _note(self, job_id: str, options: Mapping[str, Any]) -> None:
        if job_id:
            self._given[job_id] = options
        if self._is_inline and not self._is_draining:
            self.drain()


def _drained(ran: list[Attempt], stale: int) -> Drained:
    by_engine = dict(Counter(each.engine for each in ran))
    failed = [each.job_id for each in ran if each.state is JobState.FAILED]
    return Drained(len(ran), by_engine, failed, stale, sum(each.died for each in ran))


def _recorded(job: JobRecord) -> JobFailedError:
    error = job.error or ErrorRecord("unknown", "no error was recorded")
    return JobFailedError(job.id, error.type, error.message, error.traceback)


def _expect_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("expected `await failsoft.adrain()` in a coroutine, got `drain()`")
