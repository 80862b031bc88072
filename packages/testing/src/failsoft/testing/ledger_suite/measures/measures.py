# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about the counters of all processes."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.measures import NOTICES, Batch, Ended, Failed, Series
from failsoft.job_engine.records.job import (
    Conclusion,
    DispatchTry,
    StepKind,
    StepRecord,
    TryOutcome,
    WorkerRecord,
)
from failsoft.job_engine.records.states import SUSPEND, JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    FIRST,
    LONG,
    PassTime,
    claimed,
    ended,
    offered,
    reoffered,
    started,
    waiting,
)
from failsoft.testing.ledger_suite.flow.events import suspend, wait_of

STEPS = Series("steps", "send_welcome", labels="run/run")
FAST = Series("run", "send_welcome", "default", FIRST, "succeeded", "0.25")
_DAYS = timedelta(days=2)
_WRITERS, _BATCHES = 4, 5

#: The writes that add a batch.
Write = Callable[[Ledger, Batch], object]
_WORKER = WorkerRecord("counting", FIRST, "default", "host", 1, 1)
WRITES: Sequence[Write] = (
    lambda ledger, batch: ledger.add_measures(batch),
    lambda ledger, batch: ledger.beat(_WORKER, LONG, batch),
    lambda ledger, batch: ledger.note_tries([], batch),
)


def batch(counts: Mapping[Series, int], after: str = "") -> Batch:
    """Return differences that were not added before."""
    return Batch(secrets.token_hex(8), after, counts)


class MeasurePromises:
    """`add_measures`, `beat` and `note_tries` add; `figures` returns the sums."""

    def test_differences_are_added(self, ledger: Ledger) -> None:
        """Those of each process to those of all, by whichever write."""
        for write in WRITES:
            write(ledger, batch({STEPS: 2, FAST: 1}))
            write(ledger, batch({STEPS: 3}))

        assert ledger.figures().counts == {STEPS: 5 * len(WRITES), FAST: len(WRITES)}

    def test_a_batch_is_added_once(self, ledger: Ledger) -> None:
        """Its process repeats it when the reply was lost (F22)."""
        for write in WRITES:
            first = batch({STEPS: 2})
            write(ledger, first)
            write(ledger, first)
            second = batch({STEPS: 1}, after=first.id)
            write(ledger, second)
            write(ledger, second)

        assert ledger.figures().counts == {STEPS: 3 * len(WRITES)}

    def test_a_batch_is_recognised_as_long_as_it_may_be_repeated(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """What another process adds meanwhile takes nothing of it away."""
        mine = batch({STEPS: 2})
        ledger.add_measures(mine)
        pass_time(timedelta(hours=12))
        ledger.add_measures(batch({STEPS: 1}))
        ledger.add_measures(mine)

        assert ledger.figures().counts == {STEPS: 3}

    def test_counts_stay_when_their_batches_are_forgotten(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """A process that was killed leaves its last batch."""
        ledger.add_measures(batch({STEPS: 2}))
        pass_time(_DAYS)
        ledger.add_measures(batch({STEPS: 1}))

        assert ledger.figures().counts == {STEPS: 3}

    def test_processes_count_side_by_side(self, ledger: Ledger) -> None:
        """None waits for another, and none of their differences is lost."""

        def count(number: int) -> None:
            before = ""
            for _ in range(_BATCHES):
                more = batch({STEPS: 1, FAST: number}, after=before)
                ledger.add_measures(more)
                before = more.id

        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(count, range(1, _WRITERS + 1)))

        steps = _WRITERS * _BATCHES
        fast = _BATCHES * sum(range(1, _WRITERS + 1))
        assert ledger.figures().counts == {STEPS: steps, FAST: fast}

    def test_tries_and_counts_are_noted_together(self, ledger: Ledger) -> None:
        """In one call."""
        job = offered(ledger)
        tried = DispatchTry(FIRST, 1, "offer", TryOutcome.ACCEPTED)
        ledger.note_tries([(job.id, tried)], batch({STEPS: 1}))

        assert [each.outcome for each in ledger.tries(job.id)] == [TryOutcome.ACCEPTED]
        assert ledger.figures().counts == {STEPS: 1}


class FigurePromises:
    """`figures`: what has ended, what is kept of it, and what waits."""

    def test_ends_are_counted_by_job_queue_engine_and_outcome(self, ledger: Ledger) -> None:
        """Those that ended alike together."""
        for state in (JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED):
            ended(ledger, state)
        found = ledger.figures()

        assert sorted(found.ended, key=lambda each: each.outcome) == [
            Ended("send_welcome", "default", FIRST, "failed", 1),
            Ended("send_welcome", "default", FIRST, "succeeded", 2),
        ]
        assert found.failed == [Failed("send_welcome", "default", 1)]

    def test_notices_are_counted_by_kind_and_engine(self, ledger: Ledger) -> None:
        """As many as there are."""
        ended(ledger, JobState.FAILED)
        ledger.note_switch(FIRST, "over", {})
        counts = ledger.figures().counts

        assert counts[Series(NOTICES, engine=FIRST, labels="job.fail")] == 1
        assert counts[Series(NOTICES, engine=FIRST, labels="engine.failed_over")] == 1

    def test_notices_stay_counted_when_they_are_forgotten(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Counters never fall."""
        ledger.note_switch(FIRST, "over", {})
        pass_time(timedelta(days=30))
        ledger.take_sample()
        ledger.note_switch(FIRST, "over", {})
        series = Series(NOTICES, engine=FIRST, labels="engine.failed_over")

        assert ledger.figures().counts[series] == 1 + 1

    def test_due_jobs_under_limits_are_counted(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Those without limits, and those that are not due, are not."""
        limits = Limits(concurrency=Limit("one at a time", 1))
        for delay in (timedelta(0), LONG):
            waiting(ledger, delay, limits=limits)
        waiting(ledger, timedelta(0))
        pass_time(timedelta(seconds=1))

        assert ledger.figures().limited == {"send_welcome": 1}

    def test_waits_are_counted(self, ledger: Ledger) -> None:
        """Jobs that wait for an event or sleep, apart from those that only wait for their time."""
        claim = started(ledger)
        suspend(ledger, claim, wait_of(claim))
        waiting(ledger)
        nap = StepRecord("nap", 0, StepKind.SLEEP, '"for 1:00:00"')
        ledger.conclude(started(ledger), Conclusion(SUSPEND, delay=LONG, step=nap))
        ledger.conclude(started(ledger), CONCLUSIONS[1])

        assert ledger.figures().waits == {"event": 1, "sleep": 1}

    def test_a_sleep_that_is_over_is_not_counted(self, ledger: Ledger) -> None:
        """The retry of the attempt after it is no sleep."""
        claim = started(ledger)
        nap = StepRecord("nap", 0, StepKind.SLEEP, '"for 0:00:00"')
        ledger.conclude(claim, Conclusion(SUSPEND, step=nap))
        again = claimed(ledger, reoffered(ledger, claim.job_id))
        ledger.conclude(again, CONCLUSIONS[1])

        assert ledger.figures().waits.get("sleep", 0) == 0

    def test_rows_are_counted(self, ledger: Ledger) -> None:
        """Those of each table; an estimate may be behind."""
        ended(ledger, JobState.SUCCEEDED)
        rows = {each.table: each.rows for each in ledger.sizes()}

        assert {"jobs", "steps"} <= set(rows)
        assert (rows["jobs"] or 0) >= 0
