"""A SQL ledger and the one in memory: the same calls at the same moment get the same answers."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.errors import JobDeferredError, JobStateError, LedgerUnavailableError
from failsoft.job_engine.invariants import (
    History,
    LimitedAttempt,
    beyond_their_limit,
    history_of,
    repeated_keys,
    violations,
)
from failsoft.job_engine.policies.limits import Limit
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.states import JobState
from failsoft.testing import MemoryLedger
from tests.stateful.databases import Bench, CutOff, Loss
from tests.stateful.histories import histories_of

T = TypeVar("T")

#: What happens to a call: nothing, its reply is lost (0), or the process that asks it dies
#: before its so manyeth statement.
Fault = int | None
ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
LOST_REPLY: Fault = 0


class Pair:
    """Two ledgers that must not be distinguishable."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.sql: Ledger = bench.empty()
        self.memory: Ledger = MemoryLedger(bench.clock, actor="tests")
        self._sound: dict[str, History] = {}
        self._clock_was_set = False

    def ask(
        self,
        about: str,
        question: Callable[[Ledger], T],
        fault: Fault = None,
        *,
        same: Callable[[T], object] | None = None,
    ) -> T | None:
        """Ask both and return what both answer; None if they refuse, or if no answer came.

        Args:
            about: What it is counted as.
            question: The call.
            fault: What happens to it.
            same: What of the answer must be the same when the question is repeated.
        """
        self._bench.figures[about] += 1
        try:
            first = self._ask_sql(question, fault)
        except CutOff:
            self._bench.figures["a process died inside a transaction"] += 1
            return None
        answer = self._agreed(about, first, question)
        if fault == LOST_REPLY:
            self._bench.figures["a reply was lost"] += 1
            again = self._agreed(about, _said(question, self.sql), question)
            if same is not None and not isinstance(first, type):
                assert same(again) == same(first), f"{about}: {first}, and when repeated {again}"
                answer = again
        return None if isinstance(answer, type) else cast("T", answer)

    def pass_time(self, span: timedelta) -> None:
        """Let the clock of both move on."""
        self._bench.pass_time(span)

    def set_clock(self, by: timedelta) -> None:
        """Let the clock of both jump, ahead or back."""
        self._clock_was_set = True
        self._bench.figures[f"the clock jumped {'ahead' if by > timedelta(0) else 'back'}"] += 1
        self._bench.pass_time(by)

    def ask_while_it_takes_no_writes(self, write: Callable[[Ledger], T]) -> None:
        """Ask the SQL ledger to write while it may not: it refuses, and still answers readers."""
        with self._bench.taking_no_writes():
            try:
                write(self.sql)
            except LedgerUnavailableError:
                self._bench.figures["a write was refused: read-only"] += 1
            found = sorted(job.id for job in self.sql.list_jobs(limit=1000))
        assert found == sorted(job.id for job in self.memory.list_jobs(limit=1000))

    def ask_while_its_file_is_lost(self, loss: Loss, write: Callable[[Ledger], T]) -> None:
        """Ask a ledger in a file to write while that is not the one at its path: it refuses."""
        with self._bench.losing(loss):
            try:
                write(self.sql)
            except LedgerUnavailableError:
                self._bench.figures[f"a write was refused: the file was {loss.value}"] += 1
            else:
                raise AssertionError(f"expected to refuse, as its file was {loss.value}")

    def ask_while_it_goes_away(
        self, question: Callable[[Ledger], T], cut: AbstractContextManager[None]
    ) -> None:
        """Ask both; the way to the SQL ledger is cut in the middle, and stays so for a while.

        The caller gets the error that it is away, and the call is done or not.
        """
        before = histories_of(self._bench.database)
        try:
            with cut:
                said = _said(question, self.sql)
        except LedgerUnavailableError:
            is_done = histories_of(self._bench.database) != before
            self._bench.figures[f"a call was cut: {'done' if is_done else 'not done'}"] += 1
            if is_done:
                _said(question, self.memory)
        else:
            self._agreed("a call was not cut", said, question)

    def reopen(self) -> None:
        """Open the SQL ledger as a new process does."""
        self.sql = self._bench.open()

    def expect_sound(self) -> None:
        """Check every invariant over every job, and that both ledgers keep the same."""
        kept = histories_of(self._bench.database)
        # Where the clock jumped, no two moments can be compared.
        unsure = [ALWAYS] if self._clock_was_set else []
        for job_id, history in kept.items():
            known = history_of(self.memory, job_id)
            assert history == known, f"expected {known}, got {history}"
            if history != self._sound.get(job_id):
                found = list(violations(history, unsure))
                assert not found, f"expected a sound history, got {found}"
        assert len(kept) == sum(self.memory.counts().values())
        assert not list(repeated_keys(history.job for history in kept.values()))
        if not self._clock_was_set:
            assert not list(beyond_their_limit(_under_limits(kept.values())))
        assert not _too_many_run(kept.values())
        self._sound = kept

    def _ask_sql(self, question: Callable[[Ledger], T], fault: Fault) -> Any:
        with self._bench.dying_before(fault) if fault else nullcontext():
            return _said(question, self.sql)

    def _agreed(self, about: str, said: Any, question: Callable[[Ledger], T]) -> Any:
        expected = _said(question, self.memory)
        assert said == expected, f"{about}: expected {expected}, got {said}"
        if isinstance(said, type):
            self._bench.figures[f"{about}: {said.__name__}"] += 1
        elif said is None:
            self._bench.figures[f"{about}: refused"] += 1
        return said


def _said(
    question: Callable[[Ledger], T], ledger: Ledger
) -> T | type[Interrupt] | type[JobDeferredError] | type[JobStateError]:
    try:
        return question(ledger)
    except (Interrupt, JobDeferredError, JobStateError) as interrupt:
        return type(interrupt)


def _under_limits(histories: Iterable[History]) -> Iterator[LimitedAttempt]:
    found = [
        LimitedAttempt(each.job.id, attempt.epoch, limit, attempt.started_at, attempt.ended_at)
        for each in histories
        for limit in (each.job.limits.concurrency, each.job.limits.rate)
        for attempt in (each.attempts if limit else ())
        if limit is not None
    ]
    yield from sorted(found, key=lambda each: (each.limit.key, each.started_at))


def _too_many_run(histories: Iterable[History]) -> list[Limit]:
    limits = [each.job.limits.concurrency for each in histories if _runs(each)]
    running = Counter(limit for limit in limits if limit is not None)
    return [limit for limit, count in running.items() if count > limit.most]


def _runs(history: History) -> bool:
    return history.job.state is JobState.RUNNING
