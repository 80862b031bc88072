import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from failsoft.job_engine import JobState, Retention, RetryPolicy, declare_job
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.jobs.scheduled.prune_ledger import (
    MAX_BATCH,
    PRUNING_DEAD_LETTERS,
    PruneLedger,
    PruneReport,
    Pruning,
    prune_ledger,
)
from failsoft.job_engine.telemetry import Event
from tests.unit.job_engine.jobs.fakes import Crashed, Job

SUCCEEDED = Retention(age=timedelta(hours=1), count=10)
FAILED = Retention(age=timedelta(days=30))


class Nothing(BaseModel):
    pass


def definition(name: str) -> AnyDefinition:
    return declare_job(
        name,
        payload=Nothing,
        retry=RetryPolicy(wait=lambda _: 0),
        keep_succeeded=SUCCEEDED,
        keep_failed=FAILED,
    )


class Ledger:
    """`LedgerPruner` over counts; `late` more become prunable as soon as some were counted."""

    def __init__(self, prunable: dict[tuple[str, JobState], int], late: int = 0) -> None:
        self.prunable = prunable
        self.late = late
        self.groups = 0
        self.keys = 0
        self.outbox = 0
        self.pruned: list[tuple[str, JobState, Retention, int]] = []
        self.noted: list[tuple[str, int]] = []

    def ended_names(self) -> Sequence[str]:
        return [name for name, _ in self.prunable]

    def count(self, name: str, state: JobState, retention: Retention) -> int:
        found = self.prunable.get((name, state), 0)
        if found:
            self.prunable[name, state] += self.late
        return found

    def prune(self, name: str, state: JobState, retention: Retention, limit: int) -> int:
        self.pruned.append((name, state, retention, limit))
        deleted = min(limit, self.prunable[name, state])
        self.prunable[name, state] -= deleted
        return deleted

    def note_pruning(self, name: str, count: int) -> None:
        assert not any(state is JobState.FAILED for _, state, *_ in self.pruned)
        self.noted.append((name, count))

    def prune_groups(self, limit: int) -> int:
        deleted = min(limit, self.groups)
        self.groups -= deleted
        return deleted

    def prune_keys(self, limit: int) -> int:
        deleted = min(limit, self.keys)
        self.keys -= deleted
        return deleted

    def prune_outbox(self, limit: int) -> int:
        deleted = min(limit, self.outbox)
        self.outbox -= deleted
        return deleted

    def prune_schedules(self) -> int:
        return 0


class Bench:
    """One pruning job on a ledger that knows the definitions `a` and `b`."""

    def __init__(self, ledger: Ledger) -> None:
        self.job = Job()
        self.events: list[Event] = []
        known = [definition("a"), definition("b")]
        self.handler = PruneLedger(ledger, lambda: known, self.events.append)

    def run(self, **limits: Any) -> PruneReport:
        return self.job.attempt(self.handler, Pruning(**limits))


def test_what_was_deleted_is_counted_by_definition() -> None:
    ledger = Ledger(
        {
            ("a", JobState.SUCCEEDED): 3,
            ("b", JobState.SUCCEEDED): 1200,
            ("a", JobState.CANCELLED): 2,
            ("b", JobState.FAILED): 1,
        }
    )

    report = Bench(ledger).run()

    assert report.succeeded == {"a": 3, "b": 1200}
    assert report.cancelled == {"a": 2}
    assert report.failed == {"b": 1}
    assert not any(ledger.prunable.values())


def test_groups_go_after_their_jobs() -> None:
    ledger = Ledger({})
    ledger.groups = 1200

    assert Bench(ledger).run().groups == 1200
    assert Bench(ledger).run(max_jobs=5).groups == 0


def test_jobs_are_deleted_a_few_at_a_time() -> None:
    ledger = Ledger({("a", JobState.SUCCEEDED): 1200})

    Bench(ledger).run()

    assert [limit for *_, limit in ledger.pruned] == [500, 500, 200]


def test_each_state_is_kept_as_its_definition_says() -> None:
    states = (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED)
    ledger = Ledger({("a", state): 1 for state in states})

    Bench(ledger).run()

    assert [(state, retention) for _, state, retention, _ in ledger.pruned] == [
        (JobState.SUCCEEDED, SUCCEEDED),
        (JobState.CANCELLED, SUCCEEDED),
        (JobState.FAILED, FAILED),
    ]


def test_a_warning_names_dead_letters_before_they_go(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger({("a", JobState.FAILED): 7})
    bench = Bench(ledger)
    left: list[int] = []
    known = [definition("a")]
    listener = lambda event: left.append(ledger.prunable["a", JobState.FAILED])  # noqa: E731

    with caplog.at_level(logging.WARNING):
        bench.job.attempt(PruneLedger(ledger, lambda: known, listener), Pruning())

    assert left == [7]
    assert "about to prune 7 dead letters of a, kept for 30 days" in caplog.text


def test_an_event_names_the_definition_and_the_number_of_dead_letters() -> None:
    bench = Bench(Ledger({("b", JobState.FAILED): 7, ("a", JobState.SUCCEEDED): 9}))

    bench.run()

    [event] = bench.events
    assert (event.kind, event.name) == (PRUNING_DEAD_LETTERS, "b")
    assert event.detail["count"] == 7


def test_a_dead_letter_that_comes_late_waits_for_its_own_warning() -> None:
    ledger = Ledger({("a", JobState.FAILED): 7}, late=2)

    report = Bench(ledger).run()

    assert report.failed == {"a": 7}
    assert ledger.prunable["a", JobState.FAILED] == 2


def test_definitions_that_this_worker_does_not_know_are_left_alone_and_named() -> None:
    ledger = Ledger({("newer", JobState.SUCCEEDED): 5, ("a", JobState.SUCCEEDED): 1})

    report = Bench(ledger).run()

    assert report.unknown == ("newer",)
    assert ledger.prunable["newer", JobState.SUCCEEDED] == 5


def test_one_run_deletes_no_more_than_its_limit() -> None:
    ledger = Ledger({("a", JobState.SUCCEEDED): 100, ("b", JobState.FAILED): 100})

    report = Bench(ledger).run(max_jobs=30, batch_size=20)

    assert report.succeeded == {"a": 30}
    assert report.failed == {"b": 30}


def test_another_pruner_at_work_ends_the_loop() -> None:
    ledger = Ledger({("a", JobState.SUCCEEDED): 100}, late=-100)

    report = Bench(ledger).run()

    assert report.succeeded == {"a": 0}


def test_a_run_that_was_cut_off_goes_on_with_what_it_left() -> None:
    ledger = Ledger({("a", JobState.SUCCEEDED): 5, ("a", JobState.FAILED): 3})
    bench = Bench(ledger)
    bench.job.ledger.crash_before_recording = "prune-failed"

    with pytest.raises(Crashed):
        bench.run()
    report = bench.run()

    assert report.succeeded == {"a": 5}
    assert not any(ledger.prunable.values())


@pytest.mark.parametrize("limits", [{"batch_size": MAX_BATCH + 1}, {"batch_size": 0}, {"all": 1}])
def test_limits_that_would_stop_other_writers_are_refused(limits: Any) -> None:
    with pytest.raises(ValidationError):
        Pruning(**limits)


def test_the_handler_fits_its_declaration() -> None:
    assert prune_ledger.bind(Bench(Ledger({})).handler).handler is not None
    assert prune_ledger.queue.name == "scheduled"


def test_records_that_were_published_long_ago_are_pruned_batch_by_batch() -> None:
    ledger = Ledger({})
    ledger.outbox = 1_200

    report = Bench(ledger).run(batch_size=500)

    assert (report.outbox, ledger.outbox) == (1_200, 0)
