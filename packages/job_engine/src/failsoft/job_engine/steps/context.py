"""The small interface that job code sees: `ctx.run` a step, `ctx.sleep`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, ParamSpec, TypeVar, TypeVarTuple, overload
from uuid import UUID

from pydantic import BaseModel

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.declaration import JobDeclaration
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.records.job import StepKind, StepRecord
from failsoft.job_engine.steps.base import ContextBase, batches_of, fresh_random, fresh_uuid
from failsoft.job_engine.steps.checks import check_invoked
from failsoft.job_engine.steps.once import Verify
from failsoft.job_engine.steps.parallel import AT_ONCE, Branch, side_by_side
from failsoft.job_engine.steps.progress import progress_of
from failsoft.job_engine.steps.runner import StepPolicy
from failsoft.job_engine.steps.waits import payload_of, result_of_child
from failsoft.job_engine.values.codec import result_of_type

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")
Args = TypeVarTuple("Args")
Params = ParamSpec("Params")


class JobContext(ContextBase):
    """What a job may do besides its own work; no engine shows through it."""

    @overload
    def run(
        self,
        name: str,
        fn: Callable[[*Args], T],
        /,
        *args: *Args,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        once: bool = False,
        verify: Verify[*Args, T] | None = None,
    ) -> T: ...

    @overload
    def run(
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
    def run(
        self, name: str, fn: Callable[Params, T], /, *args: Params.args, **named: Params.kwargs
    ) -> T: ...

    def run(
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
        """Run a step once and remember its result.

        When the job resumes, on whichever engine, a recorded step is not run again: its
        recorded result is returned. A step that was cut off before its result was recorded
        runs again (I7); give its side effects `idempotency_key(name)`.

        Args:
            name: The step's name, unique within the job.
            fn: The work. Its return annotation says how the result is stored and read back.
            args: Its arguments.
            retry: Whether the step is tried again within the attempt when it raises. The worker
                waits meanwhile; the job's own policy holds none.
            timeout: The longest one try of it may take. A longer one is interrupted and raises
                `StepTimeoutError`, an error of the step like any other.
            once: Never begin the step a second time, whatever happens (I6): where it may have
                taken effect and no result was recorded, the job is `held` for a person.
            verify: Finds out for a `once` step whether it has taken effect, from the same
                arguments: returns its result, or `NOT_DONE` for it to be run again.
            tx: Give `fn` a connection to the ledger's database before its arguments, an
                SQLAlchemy one; its SQL and the step's record are committed together or not at
                all, so its effect happens exactly once (I11). `fn` does nothing but SQL there,
                and commits nothing.
            named: Its keyword arguments, but those that are named like an option above.

        Returns:
            What `fn` returned, as it reads after its way through JSON.
        """
        policy = StepPolicy(retry, timeout, once, verify, tx)
        with self._machinery():
            return self._in_this_thread.drive(self._run(name, fn, args, named, policy=policy))

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

    @overload
    def branch(
        self, name: str, fn: Callable[Params, T], /, *args: Params.args, **named: Params.kwargs
    ) -> Branch[T]: ...

    def branch(
        self,
        name: str,
        fn: Callable[..., Any],
        /,
        *args: object,
        retry: Any = None,
        timeout: Any = None,
        **named: Any,
    ) -> Branch[Any]:
        """Return a step for `ctx.parallel`; nothing runs yet.

        Args:
            name: The step's name, unique within the job.
            fn: The work.
            args: Its arguments.
            retry: Whether the step is tried again within the attempt when it raises.
            timeout: The longest one try of it may take.
            named: Its keyword arguments.
        """
        return self._branch(name, fn, args, named, policy=StepPolicy(retry, timeout))

    @overload
    def parallel(
        self, one: Branch[T1], two: Branch[T2], /, *, at_once: int = ...
    ) -> tuple[T1, T2]: ...

    @overload
    def parallel(
        self, one: Branch[T1], two: Branch[T2], three: Branch[T3], /, *, at_once: int = ...
    ) -> tuple[T1, T2, T3]: ...

    @overload
    def parallel(
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
    def parallel(self, /, *branches: Branch[T], at_once: int = ...) -> tuple[T, ...]: ...

    def parallel(self, /, *branches: Branch[Any], at_once: int = AT_ONCE) -> tuple[Any, ...]:
        """Run independent steps side by side, in threads.

        Each is a step of its own, in the order given. All run to their end, even if one raises;
        what the others returned is recorded. A job that resumes runs the missing ones only.

        Args:
            branches: The steps, made by `ctx.branch`; they begin no other steps.
            at_once: How many run at the same time at most.

        Returns:
            Their results, in the order given.

        Raises:
            Exception: What the first of them, in their order, raised; when all have ended.
        """
        with self._machinery():
            found = self._look_up_all(branches, at_once)
            missing = [branch for branch in branches if branch.name not in found]
            ends = side_by_side(self._perform_branch, missing, at_once)
            return self._leave_all(branches, found, missing, ends)

    def batches(self, name: str, items: Iterable[T], *, size: int) -> Iterator[list[T]]:
        """Go through many items in batches, each a step that ends with its turn of the loop.

        A job that resumes goes on with the batch that was cut off; the items must come in the
        same order then. What is done with a batch may repeat, like any step, and begins no
        other step.

        Args:
            name: The loop's name; the steps are called `name 1`, `name 2` and so on.
            items: What there is to do.
            size: How many items make a batch.
        """
        for step, batch in batches_of(name, items, size):
            with self._machinery():
                found = self._journal.begin(step, {StepKind.RUN})
            if found is None:
                yield from self._turn(step, batch)
            self._journal.leave(step)

    def now(self) -> datetime:
        """Return the moment of the first call, the same in every attempt."""
        return self.run(f"now {self._journal.place}", self._clock.now)

    def uuid(self) -> UUID:
        """Return a random UUID, the same in every attempt."""
        return self.run(f"uuid {self._journal.place}", fresh_uuid)

    def random(self) -> float:
        """Return a random number from 0 to 1, the same in every attempt."""
        return self.run(f"random {self._journal.place}", fresh_random)

    def sleep(self, name: str, span: timedelta) -> None:
        """Let the job sleep for `span` on the database's clock, holding no worker.

        Args:
            name: The sleep's name, unique among the steps of the job.
            span: How long.
        """
        with self._machinery():
            self._fall_asleep(name, span, None)

    def sleep_until(self, name: str, moment: datetime) -> None:
        """Let the job sleep until an aware moment, holding no worker."""
        with self._machinery():
            self._fall_asleep(name, timedelta(0), moment)

    def wait_for_event(
        self,
        name: str,
        payload: type[T] | None = None,
        *,
        key: str | None = None,
        timeout: timedelta | None = None,
        raises: bool = False,
        step: str | None = None,
    ) -> T | None:
        """Wait for an event, holding no worker.

        An event that was sent before is found too. Each wait takes the oldest event of its
        name that this job has not received.

        Args:
            name: The event's name, and the step's unless `step` says otherwise.
            payload: The type of what it says; anything JSON can carry where None.
            key: Wait for events sent to this key, not for those sent to this job's id.
            timeout: How long to wait at most, from when the wait began.
            raises: Whether a wait that lasts too long raises; it returns None otherwise.
            step: The step's name, where the job waits for a name more than once.

        Raises:
            EventTimeoutError: No event came in time, and `raises` is set.
        """
        declared = result_of_type(Any if payload is None else payload)
        with self._machinery():
            answer = self._wait_steps.event(step or name, name, key, timeout)
        found: T | None = payload_of(name, answer, declared, raises=raises)
        return found

    def invoke(self, job: JobDeclaration[P, R], payload: P, *, step: str | None = None) -> R:
        """Run another job and wait for its end, holding no worker.

        The job is dispatched once, with an id made from this job's id and the step's name, and
        with everything that its definition says. Cancelling this job while it waits cancels
        that one, too.

        Args:
            job: The job's definition; its declaration is enough.
            payload: What it works on.
            step: The step's name; the job's name where None.

        Returns:
            Its result.

        Raises:
            JobFailedError: It failed.
            JobCancelledError: It was cancelled.
            DuplicateDispatchError: Another job holds its unique key; it was not dispatched.
            InvokeDepthError: Jobs invoke one another too deeply.
        """
        with self._machinery():
            check_invoked(job)
            answer = self._wait_steps.job(step or job.name, job, payload)
        result: R = result_of_child(answer, job.result)
        return result

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Record how far the job has come; `handle.progress()` and `failsoft jobs show` read it.

        It may be called as often as one likes, also within a step: it is written once a second
        at most, and the newest at the end of a step or of the attempt.

        Args:
            done: How much is done, in units of your own.
            total: How much there is to do, if that is known.
            note: What the job does now.

        Raises:
            StepError: If `done` is below zero or above `total`, or the note is too long.
        """
        progress = progress_of(done, total, note, self._clock.now())
        with self._machinery():
            self._progress.note(progress)

    def _perform_branch(self, branch: Branch[Any]) -> StepRecord:
        return self._in_this_thread.drive(self._run_branch(branch))

    @contextmanager
    def _machinery(self) -> Iterator[None]:
        if self.ended_by is not None:
            raise self.ended_by
        try:
            with self._lease.our_code():
                yield
        except Interrupt as interrupt:
            self._end_by(interrupt)
            raise

    def _turn(self, step: str, batch: list[T]) -> Iterator[list[T]]:
        with self._journal.open(step):
            yield batch
        with self._machinery():
            self._journal.record(step, StepKind.RUN, str(len(batch)))
