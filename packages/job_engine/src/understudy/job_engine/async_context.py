"""The same small interface for `async def` jobs: `await ctx.run` a step, `await ctx.sleep`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import count, islice
from typing import Any, TypeVar, TypeVarTuple, overload
from uuid import UUID

from understudy.job_engine.async_performing import AsyncPerformer
from understudy.job_engine.async_running import off_loop
from understudy.job_engine.clock import Clock
from understudy.job_engine.context_base import (
    ContextBase,
    check_size,
    fresh_random,
    fresh_uuid,
)
from understudy.job_engine.doubt import NotDone, Verify
from understudy.job_engine.interrupts import Interrupt
from understudy.job_engine.journal import refuse
from understudy.job_engine.lease import Lease
from understudy.job_engine.parallel import AT_ONCE, Branch, End
from understudy.job_engine.performing import StepPolicy
from understudy.job_engine.ports import AttemptLedger
from understudy.job_engine.progress import progress_of
from understudy.job_engine.records import Claim, StepKind
from understudy.job_engine.retry import RetryPolicy
from understudy.job_engine.time_limit import UNLIMITED, AttemptLimits

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
Args = TypeVarTuple("Args")


class AsyncJobContext(ContextBase):
    """What an `async def` job may do besides its own work: what a plain one may, awaited.

    The records are the same, so a job may become `async` between two attempts. The ledger is
    asked in threads, and a step that is a plain function runs in one: neither blocks the loop.
    """

    def __init__(
        self,
        claim: Claim,
        ledger: AttemptLedger,
        lease: Lease,
        clock: Clock,
        *,
        limits: AttemptLimits = UNLIMITED,
    ) -> None:
        """Serve one attempt; made by the executor."""
        super().__init__(claim, ledger, lease, clock, limits=limits)
        self._performer = AsyncPerformer(self._journal, lease, clock, limits.give_up)
        self._under_way: str | None = None

    @overload
    async def run(
        self,
        name: str,
        fn: Callable[[*Args], Awaitable[T]],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        once: bool = False,
        verify: Callable[[*Args], Awaitable[T | NotDone]] | Verify[*Args, T] | None = None,
    ) -> T: ...

    @overload
    async def run(
        self,
        name: str,
        fn: Callable[[*Args], T],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        once: bool = False,
        verify: Callable[[*Args], Awaitable[T | NotDone]] | Verify[*Args, T] | None = None,
    ) -> T: ...

    async def run(
        self,
        name: str,
        fn: Callable[[*Args], Any],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        once: bool = False,
        verify: Callable[[*Args], Any] | None = None,
    ) -> Any:
        """Run a step once and remember its result, as `JobContext.run` does.

        Args:
            name: The step's name, unique within the job.
            fn: The work, a coroutine function or a plain one, which runs in a thread.
            args: Its arguments.
            retry: Whether the step is tried again within the attempt when it raises.
            timeout: The longest one try of it may take; a longer one raises `StepTimeoutError`.
            once: Never begin the step a second time, whatever happens (I6).
            verify: Finds out for a `once` step whether it has taken effect, awaited or plain.

        Returns:
            What `fn` returned, as it reads after its way through JSON.
        """
        policy = StepPolicy(retry, timeout, once, verify is not None)
        with self._machinery(name):
            result, found = await off_loop(partial(self._look_up, name, fn, policy))
            if found is None or found.kind is StepKind.INTENT:
                begun = found is not None
                work = partial(fn, *args)
                if once:
                    find_out = verify and partial(verify, *args)
                    value = await self._performer.perform_once(
                        name, work, find_out, policy, begun=begun
                    )
                else:
                    value = await self._performer.perform(name, work, policy)
                kind = StepKind.ONCE if once or begun else StepKind.RUN
                found = await off_loop(partial(self._keep, name, kind, result, value))
            return self._leave(found, result)

    @overload
    def branch(
        self,
        name: str,
        fn: Callable[[*Args], Awaitable[T]],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> Branch[T]: ...

    @overload
    def branch(
        self,
        name: str,
        fn: Callable[[*Args], T],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> Branch[T]: ...

    def branch(
        self,
        name: str,
        fn: Callable[[*Args], Any],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> Branch[Any]:
        """Return a step for `ctx.parallel`; nothing runs yet.

        Args:
            name: The step's name, unique within the job.
            fn: The work, a coroutine function or a plain one, which runs in a thread.
            args: Its arguments.
            retry: Whether the step is tried again within the attempt when it raises.
            timeout: The longest one try of it may take.
        """
        return self._branch(name, fn, partial(fn, *args), StepPolicy(retry, timeout))

    @overload
    async def parallel(
        self, one: Branch[T1], two: Branch[T2], /, *, at_once: int = ...
    ) -> tuple[T1, T2]: ...

    @overload
    async def parallel(
        self, one: Branch[T1], two: Branch[T2], three: Branch[T3], /, *, at_once: int = ...
    ) -> tuple[T1, T2, T3]: ...

    @overload
    async def parallel(
        self,
        one: Branch[T1],
        two: Branch[T2],
        three: Branch[T3],
        four: Branch[T4],
        /,
        *,
        at_once: int = ...,
    ) -> tuple[T1, T2, T3, T4]: ...

    @overload
    async def parallel(self, /, *branches: Branch[T], at_once: int = ...) -> tuple[T, ...]: ...

    async def parallel(self, /, *branches: Branch[Any], at_once: int = AT_ONCE) -> tuple[Any, ...]:
        """Run independent steps side by side, in tasks, and plain functions in threads.

        Each is a step of its own, in the order given. All run to their end, even if one raises;
        what the others returned is recorded. A job that resumes runs the missing ones only.

        Args:
            branches: The steps, made by `ctx.branch`; they begin no other steps.
            at_once: How many run at the same time at the most.

        Returns:
            Their results, in the order given.

        Raises:
            Exception: What the first of them, in their order, raised; when all have ended.
        """
        with self._machinery(branches[0].name if branches else "parallel"):
            found = await off_loop(partial(self._look_up_all, branches, at_once))
            missing = [branch for branch in branches if branch.name not in found]
            turns = asyncio.Semaphore(at_once)
            ends = await asyncio.gather(*(self._end(branch, turns) for branch in missing))
            return self._leave_all(branches, found, missing, ends)

    async def batches(self, name: str, items: Iterable[T], *, size: int) -> AsyncIterator[list[T]]:
        """Go through many items in batches, each a step, as `JobContext.batches` does.

        Args:
            name: The loop's name; the steps are called `name 1`, `name 2` and so on.
            items: What there is to do.
            size: How many items make a batch.
        """
        check_size(name, size)
        rest = iter(items)
        for number in count(1):
            if not (batch := list(islice(rest, size))):
                return
            step = f"{name} {number}"
            with self._machinery(step):
                found = await off_loop(partial(self._journal.begin, step, {StepKind.RUN}))
            if found is None:
                with self._journal.open(step):
                    yield batch
                with self._machinery(step):
                    size_text = str(len(batch))
                    record = partial(self._journal.record, step, StepKind.RUN, size_text)
                    await off_loop(record)
            self._journal.leave(step)

    async def now(self) -> datetime:
        """Return the moment at which this was first asked, the same in every attempt."""
        return await self.run(f"now {self._journal.place}", self._clock.now)

    async def uuid(self) -> UUID:
        """Return a random UUID, the same in every attempt."""
        return await self.run(f"uuid {self._journal.place}", fresh_uuid)

    async def random(self) -> float:
        """Return a random number from 0 to 1, the same in every attempt."""
        return await self.run(f"random {self._journal.place}", fresh_random)

    async def sleep(self, name: str, span: timedelta) -> None:
        """Let the job sleep for `span` on the database's clock, holding no worker.

        Args:
            name: The sleep's name, unique among the steps of the job.
            span: How long.
        """
        with self._machinery(name):
            await off_loop(partial(self._fall_asleep, name, span, None))

    async def sleep_until(self, name: str, moment: datetime) -> None:
        """Let the job sleep until an aware moment, holding no worker."""
        with self._machinery(name):
            await off_loop(partial(self._fall_asleep, name, timedelta(0), moment))

    async def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Tell how far the job has come, as `JobContext.progress` does.

        Args:
            done: How much is done, in units of your own.
            total: How much there is to do, if that is known.
            note: What the job does now.

        Raises:
            StepError: If `done` is below zero or above `total`, or the note is too long.
        """
        word = progress_of(done, total, note, self._clock.now())
        with self._interrupts():
            if self._progress.keep(word):
                await off_loop(self._progress.write)

    async def _end(self, branch: Branch[Any], turns: asyncio.Semaphore) -> End:
        try:
            async with turns:
                value = await self._performer.perform(branch.name, branch.work, branch.policy)
                keep = partial(self._keep, branch.name, StepKind.RUN, branch.result, value)
                return End(await off_loop(keep))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # What a branch cancels itself is its error.
            return End(raised=error)
        except BaseException as error:  # noqa: BLE001 - raised again when all have ended
            return End(raised=error)

    @contextmanager
    def _machinery(self, name: str) -> Iterator[None]:
        """Do what a step takes, one step at a time: their order is their identity."""
        with self._interrupts():
            if self._under_way is not None:
                refuse(
                    f"step {name!r} was begun while {self._under_way!r} was under way; await one "
                    "after the other, or use ctx.parallel"
                )
            self._under_way = name
            try:
                yield
            finally:
                self._under_way = None

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        if self.ended_by is not None:
            raise self.ended_by
        try:
            self._lease.check()
            yield
            self._lease.check()
        except Interrupt as interrupt:
            self.ended_by = interrupt
            raise
        except asyncio.CancelledError:
            if self._lease.revoked_by is None:
                raise
            self.ended_by = self._lease.revoked_by()
            raise self.ended_by from None
