"""The same small interface for `async def` jobs: `await ctx.run` a step, `await ctx.sleep`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar, TypeVarTuple, overload
from uuid import UUID

from pydantic import BaseModel

from failsoft.job_engine.attempt.event_loop import off_loop
from failsoft.job_engine.declaration import JobDeclaration
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.steps.async_parallel import AsyncBranches
from failsoft.job_engine.steps.base import batches_of, fresh_random, fresh_uuid
from failsoft.job_engine.steps.checks import check_invoked
from failsoft.job_engine.steps.once import NotDone, Verify
from failsoft.job_engine.steps.progress import progress_of
from failsoft.job_engine.steps.runner import StepPolicy
from failsoft.job_engine.steps.waits import payload_of, result_of_child
from failsoft.job_engine.values.codec import result_of_type

T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
Args = TypeVarTuple("Args")
Params = ParamSpec("Params")


class AsyncJobContext(AsyncBranches):
    """What an `async def` job may do besides its own work: what a plain one may, awaited.

    The records are the same, so a job may become `async` between two attempts. Ledger calls, and
    steps that are plain functions, run in threads: neither blocks the loop.
    """

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

    @overload
    async def run(
        self,
        name: str,
        fn: Callable[[Any, *Args], T],
        /,
        *args: *Args,
        tx: Literal[True],
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> T: ...

    @overload
    async def run(
        self,
        name: str,
        fn: Callable[Params, Awaitable[T]],
        /,
        *args: Params.args,
        **named: Params.kwargs,
    ) -> T: ...

    @overload
    async def run(
        self, name: str, fn: Callable[Params, T], /, *args: Params.args, **named: Params.kwargs
    ) -> T: ...

    async def run(
        self,
        name: str,
        fn: Callable[..., Any],
        /,
        *args: object,
        retry: Any = None,
        timeout: Any = None,
        once: Any = False,
        verify: Any = None,
        tx: Any = False,
        **named: Any,
    ) -> Any:
        """Run a step once and remember its result, as `JobContext.run` does.

        `fn` and `verify` may be coroutine functions; a plain one runs in a thread. `fn` of a `tx`
        step is a plain one.
        """
        policy = StepPolicy(retry, timeout, once, verify, tx)
        with self._machinery(name):
            return await self._on_loop.drive(self._run(name, fn, args, named, policy=policy))

    async def batches(self, name: str, items: Iterable[T], *, size: int) -> AsyncIterator[list[T]]:
        """Go through many items in batches, each a step, as `JobContext.batches` does."""
        for step, batch in batches_of(name, items, size):
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
        """Return the moment of the first call, as `JobContext.now` does."""
        return await self.run(f"now {self._journal.place}", self._clock.now)

    async def uuid(self) -> UUID:
        """Return a random UUID, as `JobContext.uuid` does."""
        return await self.run(f"uuid {self._journal.place}", fresh_uuid)

    async def random(self) -> float:
        """Return a random number, as `JobContext.random` does."""
        return await self.run(f"random {self._journal.place}", fresh_random)

    async def sleep(self, name: str, span: timedelta) -> None:
        """Let the job sleep for `span`, as `JobContext.sleep` does."""
        with self._machinery(name):
            await off_loop(partial(self._fall_asleep, name, span, None))

    async def sleep_until(self, name: str, moment: datetime) -> None:
        """Let the job sleep until an aware moment, as `JobContext.sleep_until` does."""
        with self._machinery(name):
            await off_loop(partial(self._fall_asleep, name, timedelta(0), moment))

    async def wait_for_event(
        self,
        name: str,
        payload: type[T] | None = None,
        *,
        key: str | None = None,
        timeout: timedelta | None = None,
        raises: bool = False,
        step: str | None = None,
    ) -> T | None:
        """Wait for an event, as `JobContext.wait_for_event` does."""
        declared = result_of_type(Any if payload is None else payload)
        with self._machinery(step or name):
            meet = partial(self._wait_steps.event, step or name, name, key, timeout)
            answer = await off_loop(meet)
        found: T | None = payload_of(name, answer, declared, raises=raises)
        return found

    async def invoke(self, job: JobDeclaration[P, R], payload: P, *, step: str | None = None) -> R:
        """Run another job and wait for its end, as `JobContext.invoke` does."""
        check_invoked(job)
        with self._machinery(step or job.name):
            meet = partial(self._wait_steps.job, step or job.name, job, payload)
            answer = await off_loop(meet)
        result: R = result_of_child(answer, job.result)
        return result

    async def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Record how far the job has come, as `JobContext.progress` does."""
        progress = progress_of(done, total, note, self._clock.now())
        with self._interrupts():
            if self._progress.keep(progress):
                await off_loop(self._progress.write)
