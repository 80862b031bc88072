"""The steps of one attempt: which it has met, what the ledger has of them, which one is open."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, NoReturn

from failsoft.job_engine.attempt.interrupts import HoldRequested
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import NonDeterministicJobError, StepError
from failsoft.job_engine.ports.ledger import AttemptLedger
from failsoft.job_engine.records.job import Claim, StepKind, StepRecord
from failsoft.job_engine.records.waits import Wait
from failsoft.job_engine.tracing import UNTRACED, AttemptSpan
from failsoft.job_engine.validation import Expect

#: A process that stood still this long between the ledger's answer and the step's first
#: instruction checks its authority again (rule 8).
STALE_ANSWER_SECONDS = 1.0

#: The most steps of a job; what needs more goes through them in larger batches.
MAX_STEPS = 10_000

#: What became of a step: its result was recorded, or was there; a try raised and another follows,
#: or took longer than its timeout.
StepOutcome = Literal["run", "reused", "retried", "timed_out"]
#: Counts what became of a step of a kind.
CountStep = Callable[[StepKind, StepOutcome], object]

_NAME = re.compile(
    r"[^\s\0-\x1f\ud800-\udfff](?:[^\0-\x1f\ud800-\udfff]{0,126}[^\s\0-\x1f\ud800-\udfff])?"
)


def refusal(message: str) -> HoldRequested:
    """Return what holds a job that uses its steps wrongly."""
    return HoldRequested(StepError(message))


_EXPECT = Expect(refusal)
#: What says that a step was begun, and has no result.
_BEGUN = frozenset({StepKind.INTENT, StepKind.WAIT})


def count_nothing(kind: StepKind, outcome: StepOutcome) -> None:
    """Count no step."""


class Journal:
    """The steps of the job's code, and those that the ledger has recorded; they must not differ.

    Attributes:
        count: Called with what became of each step.
    """

    def __init__(
        self,
        claim: Claim,
        ledger: AttemptLedger,
        lease: Lease,
        clock: Clock,
        *,
        count: CountStep = count_nothing,
        trace: AttemptSpan = UNTRACED,
    ) -> None:
        self.count: CountStep = count
        self._claim = claim
        self._trace = trace
        self._ledger = ledger
        self._lease = lease
        self._clock = clock
        self._met: list[str] = []
        self._open: list[str] = []
        self._places: dict[str, int] = {}
        self._answered_at: dict[str, float] = {}
        self._begun: dict[str, float] = {}
        self._elapsed: dict[str, float] = {}

    @property
    def claim(self) -> Claim:
        """Return the authority of the attempt."""
        return self._claim

    @property
    def lease(self) -> timedelta:
        """Return how long the authority lasts without renewal."""
        return self._claim.lease

    @property
    def place(self) -> int:
        """Return how many steps the attempt has behind it: the place of the next one."""
        return len(self._met)

    def silence(self, thread: int) -> float:
        """Return for how many seconds a thread has waited for a ledger that answers nothing."""
        return self._ledger.silence(thread)

    def begin(self, name: str, kinds: Collection[StepKind], *, ahead: int = 0) -> StepRecord | None:
        """Check name and authority, and return what is recorded of the step (rule 8).

        Args:
            name: The step.
            kinds: What it may have been recorded as.
            ahead: How many steps that are begun with it come before it.

        Raises:
            HoldRequested: The step cannot be of this job, as it was recorded.
            Interrupt: The attempt is over.
        """
        self._check_name(name)
        self._lease.check()
        self._places[name] = self.place + ahead
        self._check_place(name)
        found = self._in_its_place(name, self.confirm(name))
        if found is not None and found.kind not in kinds:
            _mismatch(f"{' or '.join(sorted(kinds))} {name!r}", f"{found.kind} {found.name!r}")
        if found is not None and found.kind not in _BEGUN:
            self.count(found.kind, "reused")
            self._trace.reused(found)
        return found

    def confirm(self, name: str) -> Sequence[StepRecord]:
        """Have the ledger confirm the authority over the step, and return what it has recorded."""
        records = self._ledger.begin(self._claim, name, self._places[name])
        self._answered_at[name] = self._clock.steady()
        return records

    def confirm_if_stale(self, name: str) -> None:
        """Confirm again if the process stood still since the last answer (rule 8)."""
        while self.is_stale(name):
            self.confirm(name)

    def is_stale(self, name: str) -> bool:
        """Return whether the process stood still since the last answer."""
        return self._clock.steady() - self._answered_at[name] > STALE_ANSWER_SECONDS

    def step(self, name: str, kind: StepKind, result: str) -> StepRecord:
        """Return the record of a step at this place."""
        place, epoch = self._places[name], self._claim.epoch
        return StepRecord(name, place, kind, result, epoch, elapsed=self._time_of(name))

    def record(self, name: str, kind: StepKind, result: str) -> StepRecord:
        """Record a step in the ledger."""
        step = self.step(name, kind, result)
        self._ledger.record(self._claim, step)
        self._answered_at[name] = self._clock.steady()
        if kind not in _BEGUN:
            self.count(kind, "run")
            self._trace.recorded(step)
        return step

    def record_in(self, name: str, work: Callable[[Any], str]) -> StepRecord:
        """Do a step's work in the ledger's transaction that records it (rule 11)."""
        step = self.step(name, StepKind.RUN, "null")
        recorded = self._ledger.record_in(self._claim, step, work)
        self.count(StepKind.RUN, "run")
        self._trace.recorded(recorded)
        return recorded

    def receive(self, step: StepRecord, wait: Wait) -> StepRecord | None:
        """Record what a step waits for, if it is there."""
        received = self._ledger.receive(self._claim, step, wait)
        if received is not None:
            self.count(received.kind, "run")
        return received

    def leave(self, name: str) -> None:
        """Put a step behind the attempt."""
        self._met.append(name)

    @contextmanager
    def open(self, name: str) -> Iterator[None]:
        """Mark the time in which a step's own code runs: no other may begin.

        How long that was is recorded with the step; the last time of one that is tried again.
        """
        self._open.append(name)
        self._elapsed.pop(name, None)
        self._begun[name] = self._clock.steady()
        try:
            with self._trace.step(name):
                yield
        finally:
            self._elapsed[name] = self._clock.steady() - self._begun[name]
            self._open.remove(name)

    def _time_of(self, name: str) -> float | None:
        """Return how long the code of a step took, or has taken by now; None if it has none."""
        if name in self._elapsed or name not in self._begun:
            return self._elapsed.get(name)
        return self._clock.steady() - self._begun[name]

    def _check_place(self, name: str) -> None:
        if self._places[name] >= MAX_STEPS:
            refuse(
                f"step {name!r}: expected a job of at most {MAX_STEPS} steps, got one more; do more"
                " in each step, as with larger batches, or dispatch jobs for parts of the work"
            )

    def _check_name(self, name: str) -> None:
        _EXPECT.matching("a step name of 1 to 128 printable characters", name, _NAME)
        if self._open:
            refuse(
                f"step {name!r} was begun inside step {self._open[0]!r}: steps do not nest; "
                "call ctx.run from the job's own body"
            )
        if name in self._met:
            refuse(f"step {name!r} was run before in this job: give each step its own name")

    def _in_its_place(self, name: str, records: Sequence[StepRecord]) -> StepRecord | None:
        for record in records:
            if record.name != name:
                _mismatch(f"step {name!r} at place {self._places[name]}", f"{record.name!r}")
            if record.seq != self._places[name]:
                _mismatch(f"step {name!r} at place {record.seq}", f"place {self._places[name]}")
        return records[0] if records else None


def refuse(message: str) -> NoReturn:
    """Hold the job: it uses its steps wrongly.

    Raises:
        HoldRequested: Always.
    """
    raise refusal(message)


def _mismatch(step: str, recorded: str) -> NoReturn:
    raise HoldRequested(
        NonDeterministicJobError(
            f"the job's code has {step}, the ledger recorded {recorded}: the code changed under "
            "the job; deploy the code it began with, or resolve it by hand"
        )
    )
