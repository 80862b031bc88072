"""The small interface that job code sees: `ctx.run` a step, `ctx.sleep`."""

import json
import logging
import random
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import count, islice
from typing import Any, TypeVar, TypeVarTuple
from uuid import UUID, uuid4

from understudy.job_engine.clock import Clock
from understudy.job_engine.codec import result_of
from understudy.job_engine.doubt import Verify
from understudy.job_engine.errors import ResultInvalidError
from understudy.job_engine.interrupts import HoldRequested, Interrupt, Suspended
from understudy.job_engine.journal import Journal, refuse
from understudy.job_engine.lease import Lease
from understudy.job_engine.performing import Performer, StepPolicy
from understudy.job_engine.ports import AttemptLedger
from understudy.job_engine.progress import ProgressNote, progress_of
from understudy.job_engine.records import Claim, StepKind
from understudy.job_engine.retry import RetryPolicy
from understudy.job_engine.time_limit import UNLIMITED, AttemptLimits

T = TypeVar("T")
Args = TypeVarTuple("Args")

_MAY_BE_RUN = frozenset({StepKind.RUN, StepKind.INTENT, StepKind.ONCE})


class _JobLog(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class JobContext:
    """What a job may do besides its own work; no engine shows through it.

    Attributes:
        job_id: The job's id, the same in every attempt and on every engine.
        attempt: 1 for the first execution, one more for each after it.
        queue: The queue the job runs on.
        log: A logger that knows the job.
        ended_by: The interrupt that ended the attempt, if one did; every later call raises it
            again, so that even `except BaseException` in a job goes no further.
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
        self.job_id = claim.job_id
        self.attempt = claim.attempt
        self.queue = claim.queue
        self.log: logging.LoggerAdapter[logging.Logger] = _JobLog(
            logging.getLogger("understudy.job"),
            {"job_id": claim.job_id, "job": claim.name, "attempt": claim.attempt},
        )
        self.ended_by: Interrupt | None = None
        self._lease = lease
        self._clock = clock
        self._journal = Journal(claim, ledger, lease, clock)
        self._limits = limits
        self._progress = ProgressNote(claim, ledger, clock)
        self._performer = Performer(self._journal, lease, clock, limits.give_up)

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
    ) -> T:
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

        Returns:
            What `fn` returned, as it reads after its way through JSON.
        """
        with self._machinery():
            self._check_policy(name, retry, verify, once=once)
            self._check_timeout(name, timeout)
            result = self._translated(name, result_of, fn)
            found = self._journal.begin(name, _MAY_BE_RUN)
            if found is None or found.kind is StepKind.INTENT:
                begun = found is not None
                if once:
                    find_out = verify and partial(verify, *args)
                    value = self._performer.perform_once(
                        name, partial(fn, *args), find_out, timeout=timeout, begun=begun
                    )
                else:
                    policy = StepPolicy(retry, timeout)
                    value = self._performer.perform(name, partial(fn, *args), policy)
                kind = StepKind.ONCE if once or begun else StepKind.RUN
                found = self._journal.record(
                    name, kind, self._translated(name, result.encode, value)
                )
                self._progress.write_if_due()
            self._journal.leave(name)
            decoded: T = self._translated(name, result.decode, found.result)
        return decoded

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
        if size < 1:
            refuse(f"batches {name!r}: expected a size of at least 1, got {size}")
        rest = iter(items)
        for number in count(1):
            if not (batch := list(islice(rest, size))):
                return
            step = f"{name} {number}"
            with self._machinery():
                found = self._journal.begin(step, {StepKind.RUN})
            if found is None:
                yield from self._turn(step, batch)
            self._journal.leave(step)

    def now(self) -> datetime:
        """Return the moment at which this was first asked, the same in every attempt."""
        return self.run(f"now {self._journal.place}", self._clock.now)

    def uuid(self) -> UUID:
        """Return a random UUID, the same in every attempt."""
        return self.run(f"uuid {self._journal.place}", _uuid)

    def random(self) -> float:
        """Return a random number from 0 to 1, the same in every attempt."""
        return self.run(f"random {self._journal.place}", _random)

    def sleep(self, name: str, span: timedelta) -> None:
        """Let the job sleep for `span` on the database's clock, holding no worker.

        Args:
            name: The sleep's name, unique among the steps of the job.
            span: How long.
        """
        self._sleep(name, span, None)

    def sleep_until(self, name: str, moment: datetime) -> None:
        """Let the job sleep until an aware moment, holding no worker."""
        self._sleep(name, timedelta(0), moment)

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Tell how far the job has come; `handle.progress()` and `understudy jobs show` read it.

        It may be called as often as one likes, also within a step: it is written once a second
        at the most, and the last word at the end of a step or of the attempt.

        Args:
            done: How much is done, in units of your own.
            total: How much there is to do, if that is known.
            note: What the job does now.

        Raises:
            StepError: If `done` is below zero or above `total`, or the note is too long.
        """
        word = progress_of(done, total, note, self._clock.now())
        with self._machinery():
            self._progress.tell(word)

    def flush(self) -> None:
        """Write what was told and not written yet; the executor calls it when the job returns."""
        self._progress.write()

    def idempotency_key(self, step: str) -> str:
        """Return a key for the step's side effects: the same in every attempt and engine."""
        return f"{self.job_id}:{step}"

    def _sleep(self, name: str, span: timedelta, moment: datetime | None) -> None:
        with self._machinery():
            if span < timedelta(0):
                refuse(f"sleep {name!r}: expected a span of zero or more, got {span}")
            if moment is not None and moment.tzinfo is None:
                refuse(f"sleep {name!r}: expected a moment with a time zone, got {moment}")
            if self._journal.begin(name, {StepKind.SLEEP}) is None:
                note = json.dumps(f"until {moment.isoformat()}" if moment else f"for {span}")
                raise Suspended(self._journal.step(name, StepKind.SLEEP, note), span, moment)
            # A recorded sleep is over: the ledger wakes nobody before the time (rule 12).
            self._journal.leave(name)

    @contextmanager
    def _machinery(self) -> Iterator[None]:
        if self.ended_by is not None:
            raise self.ended_by
        try:
            with self._lease.our_code():
                yield
        except Interrupt as interrupt:
            self.ended_by = interrupt
            raise

    def _turn(self, step: str, batch: list[T]) -> Iterator[list[T]]:
        with self._journal.open(step):
            yield batch
        with self._machinery():
            self._journal.record(step, StepKind.RUN, str(len(batch)))

    def _check_policy(self, name: str, retry: object, verify: object, *, once: bool) -> None:
        if once and retry is not None:
            refuse(f"step {name!r}: expected `once` or `retry`, got both")
        if verify is not None and not once:
            refuse(f"step {name!r}: expected `verify` with `once`, got it alone")

    def _check_timeout(self, name: str, timeout: timedelta | None) -> None:
        if timeout is None:
            return
        if timeout <= timedelta(0):
            refuse(f"step {name!r}: expected a timeout above zero, got {timeout}")
        longest = self._limits.timeout
        if longest is not None and timeout > longest:
            refuse(
                f"step {name!r}: expected a timeout of at most {longest}, which is the attempt's, "
                f"got {timeout}; give the job a longer one"
            )

    def _translated(self, name: str, translate: Callable[[Any], Any], value: Any) -> Any:
        try:
            return translate(value)
        except ResultInvalidError as error:
            raise HoldRequested(ResultInvalidError(f"step {name!r}: {error}")) from error


def _uuid() -> UUID:
    return uuid4()


def _random() -> float:
    return random.random()
