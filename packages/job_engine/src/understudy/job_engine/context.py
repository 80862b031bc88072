"""The small interface that job code sees: `ctx.run` a step, `ctx.sleep`."""

import json
import logging
import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from understudy.job_engine.clock import Clock
from understudy.job_engine.codec import result_of
from understudy.job_engine.errors import NonDeterministicJobError, ResultInvalidError, StepError
from understudy.job_engine.interrupts import HoldRequested, Interrupt, Suspended
from understudy.job_engine.lease import Lease
from understudy.job_engine.ports import AttemptLedger
from understudy.job_engine.records import Claim, StepKind, StepRecord

T = TypeVar("T")
Args = TypeVarTuple("Args")

#: A process that stood still this long between the ledger's answer and the step's first
#: instruction asks again (rule 8).
STALE_ANSWER_SECONDS = 1.0

_NAME = re.compile(r"[^\s](?:[^\r\n\t]{0,126}[^\s])?")


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

    def __init__(self, claim: Claim, ledger: AttemptLedger, lease: Lease, clock: Clock) -> None:
        """Serve one attempt; made by the executor."""
        self.job_id = claim.job_id
        self.attempt = claim.attempt
        self.queue = claim.queue
        self.log: logging.LoggerAdapter[logging.Logger] = _JobLog(
            logging.getLogger("understudy.job"),
            {"job_id": claim.job_id, "job": claim.name, "attempt": claim.attempt},
        )
        self._claim = claim
        self._ledger = ledger
        self._lease = lease
        self._clock = clock
        self.ended_by: Interrupt | None = None
        self._met: list[str] = []
        self._open: str | None = None
        self._answered_at = 0.0

    def run(self, name: str, fn: Callable[[*Args], T], /, *args: *Args) -> T:
        """Run a step once and remember its result.

        When the job resumes, on whichever engine, a recorded step is not run again: its
        recorded result is returned. A step that was cut off before its result was recorded
        runs again (I7); give its side effects `idempotency_key(name)`.

        Args:
            name: The step's name, unique within the job.
            fn: The work. Its return annotation says how the result is stored and read back.
            args: Its arguments.

        Returns:
            What `fn` returned, as it reads after its way through JSON.
        """
        with self._machinery():
            result = self._translated(name, result_of, fn)
            memo = self._begin(name, StepKind.RUN)
            if memo is None:
                value = self._perform(name, fn, *args)
                memo = self._translated(name, result.encode, value)
                self._ledger.record(self._claim, self._step(name, StepKind.RUN, memo))
            self._met.append(name)
            decoded: T = self._translated(name, result.decode, memo)
        return decoded

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

    def idempotency_key(self, step: str) -> str:
        """Return a key for the step's side effects: the same in every attempt and engine."""
        return f"{self.job_id}:{step}"

    def _sleep(self, name: str, span: timedelta, moment: datetime | None) -> None:
        with self._machinery():
            if span < timedelta(0):
                self._refuse(f"sleep {name!r}: expected a span of zero or more, got {span}")
            if moment is not None and moment.tzinfo is None:
                self._refuse(f"sleep {name!r}: expected a moment with a time zone, got {moment}")
            if self._begin(name, StepKind.SLEEP) is None:
                note = json.dumps(f"until {moment.isoformat()}" if moment else f"for {span}")
                raise Suspended(self._step(name, StepKind.SLEEP, note), span, moment)
            # A recorded sleep is over: the ledger wakes nobody before the time (rule 12).
            self._met.append(name)

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

    def _begin(self, name: str, kind: StepKind) -> str | None:
        self._check_name(name)
        self._lease.check()
        memo = self._memo(name, self._ask(name))
        if memo is not None and memo.kind is not kind:
            self._mismatch(f"{kind} {name!r}", f"{memo.kind} {memo.name!r}")
        return None if memo is None else memo.result

    def _ask(self, name: str) -> Sequence[StepRecord]:
        records = self._ledger.begin(self._claim, name, len(self._met))
        self._answered_at = self._clock.steady()
        return records

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            self._refuse(f"expected a step name of 1 to 128 printable characters, got {name!r}")
        if self._open is not None:
            self._refuse(
                f"step {name!r} was begun inside step {self._open!r}: steps do not nest; "
                "call ctx.run from the job's own body"
            )
        if name in self._met:
            self._refuse(f"step {name!r} was run before in this job: give each step its own name")

    def _memo(self, name: str, records: Sequence[StepRecord]) -> StepRecord | None:
        place = len(self._met)
        for record in records:
            if record.name != name:
                self._mismatch(f"step {name!r} at place {place}", f"{record.name!r}")
            if record.seq != place:
                self._mismatch(f"step {name!r} at place {record.seq}", f"place {place}")
        return records[0] if records else None

    def _perform(self, name: str, fn: Callable[[*Args], T], *args: *Args) -> T:
        while self._clock.steady() - self._answered_at > STALE_ANSWER_SECONDS:
            self._ask(name)
        self._open = name
        try:
            with self._lease.job_code():
                return fn(*args)
        finally:
            self._open = None

    def _step(self, name: str, kind: StepKind, result: str) -> StepRecord:
        return StepRecord(name, len(self._met), kind, result, epoch=self._claim.epoch)

    def _translated(self, name: str, translate: Callable[[Any], Any], value: Any) -> Any:
        try:
            return translate(value)
        except ResultInvalidError as error:
            raise HoldRequested(ResultInvalidError(f"step {name!r}: {error}")) from error

    def _mismatch(self, asked: str, recorded: str) -> NoReturn:
        raise HoldRequested(
            NonDeterministicJobError(
                f"the job asks for {asked}, the ledger recorded {recorded}: the code changed under "
                "the job; deploy the code it began with, or resolve it by hand"
            )
        )

    def _refuse(self, message: str) -> NoReturn:
        raise HoldRequested(StepError(message))
