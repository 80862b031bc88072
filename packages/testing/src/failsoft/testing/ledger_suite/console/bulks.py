# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of actions on all jobs that a filter chooses."""

import secrets
from functools import partial
from typing import Any

from failsoft.job_engine.errors import NotFoundError, OptionInvalidError
from failsoft.job_engine.ports.console import (
    MOST_IN_A_TURN,
    BulkAction,
    BulkRecord,
    BulkState,
    NewBulk,
)
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.fixtures import (
    ERROR,
    MOMENT,
    PassTime,
    ended,
    offered,
    raises,
    started,
    waiting,
)


def new_bulk(action: BulkAction, wanted: JobFilter, **changes: Any) -> NewBulk:
    """Return a bulk that is not started yet."""
    given: dict[str, Any] = {"expected": 3, "actor": "ada", "source": "console 10.0.0.7"}
    return NewBulk(secrets.token_hex(8), action, wanted, **{**given, **changes})


def turned(ledger: Ledger, bulk_id: str, most: int) -> BulkRecord:
    """Turn a bulk until it has ended."""
    bulk = ledger.bulk(bulk_id)
    while bulk.state is BulkState.RUNNING:
        bulk = ledger.bulk_turn(bulk_id, most)
    return bulk


class BulkPromises:
    """`bulk_start`, `bulk_turn`, `bulk_stop` and `bulks`."""

    def test_all_jobs_that_match_are_cancelled_turn_by_turn(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Those that were there when it was started, each once, and no others."""
        mine = [waiting(ledger, queue="mail").id for _ in range(5)]
        other = offered(ledger, queue="sync").id
        ended_before = ended(ledger, JobState.SUCCEEDED).job_id
        pass_time(MOMENT)
        bulk = ledger.bulk_start(new_bulk(BulkAction.CANCEL, {"queue": "mail"}))
        pass_time(MOMENT)
        late = waiting(ledger, queue="mail").id

        once = ledger.bulk_turn(bulk.id, 2)
        done = turned(ledger, bulk.id, 2)

        # A turn may end before that, for it takes no longer than it may.
        assert (once.done in (1, 2), once.state) == (True, BulkState.RUNNING)
        assert (done.done, done.failed, done.state) == (5, 0, BulkState.DONE)
        assert {ledger.get(each).state for each in mine} == {JobState.CANCELLED}
        states = [ledger.get(each).state for each in (other, ended_before, late)]
        assert states == [JobState.OFFERED, JobState.SUCCEEDED, JobState.SCHEDULED]
        assert ledger.bulk_turn(bulk.id).done == len(mine)
        assert [each.kind for each in ledger.notices().items] == ["bulk.done"]

    def test_a_running_job_is_asked_to_stop(self, ledger: Ledger, pass_time: PassTime) -> None:
        """As by a cancel of its own."""
        claim = started(ledger)
        pass_time(MOMENT)
        bulk = ledger.bulk_start(new_bulk(BulkAction.CANCEL, {}))

        assert turned(ledger, bulk.id, MOST_IN_A_TURN).done == 1
        assert ledger.get(claim.job_id).cancel_requested

    def test_failed_jobs_are_retried_once(self, ledger: Ledger, pass_time: PassTime) -> None:
        """By new jobs; a second bulk makes no more of them."""
        failed = [ended(ledger, JobState.FAILED).job_id for _ in range(3)]
        pass_time(MOMENT)
        for _ in range(2):
            bulk = ledger.bulk_start(new_bulk(BulkAction.RETRY, {}))
            assert turned(ledger, bulk.id, 2).done == len(failed)

        assert [len(ledger.again(each)) for each in failed] == [1, 1, 1]

    def test_held_jobs_go_on_or_are_given_up(self, ledger: Ledger, pass_time: PassTime) -> None:
        """As by a decision on each."""
        claims = [started(ledger) for _ in range(2)]
        for claim in claims:
            ledger.conclude(claim, Conclusion(HOLD, error=ERROR, reason="code changed"))
        pass_time(MOMENT)
        resume = new_bulk(BulkAction.RESUME, {"id": claims[0].job_id})
        abandon = new_bulk(BulkAction.ABANDON, {"states": [JobState.HELD]})
        for bulk in (resume, abandon):
            assert turned(ledger, ledger.bulk_start(bulk).id, 10).done == 1

        states = [ledger.get(claim.job_id).state for claim in claims]
        assert states == [JobState.SCHEDULED, JobState.FAILED]

    def test_a_bulk_that_was_stopped_has_no_further_turn(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """What it has done stays done."""
        for _ in range(4):
            waiting(ledger)
        pass_time(MOMENT)
        bulk = ledger.bulk_start(new_bulk(BulkAction.CANCEL, {}))
        ledger.bulk_turn(bulk.id, 1)

        stopped = ledger.bulk_stop(bulk.id)

        assert (stopped.state, stopped.done) == (BulkState.STOPPED, 1)
        assert ledger.bulk_turn(bulk.id) == stopped == ledger.bulk_stop(bulk.id)
        assert ledger.counts() == {JobState.CANCELLED: 1, JobState.SCHEDULED: 3}

    def test_a_bulk_is_started_once_and_with_an_entry(self, ledger: Ledger) -> None:
        """Who started it, from where, and what they were shown."""
        bulk = new_bulk(BulkAction.CANCEL, {"queue": "mail"}, reason="wrong data")
        first, second = ledger.bulk_start(bulk), ledger.bulk_start(bulk)

        (entry,) = ledger.audits().items
        assert first == second == ledger.bulk(bulk.id) == ledger.bulks().items[0]
        assert (entry.action, entry.target, entry.actor) == ("bulk.cancel", bulk.id, "ada")
        assert entry.detail == {"filter": {"queue": ["mail"]}, "expected": 3}
        assert (entry.reason, entry.source) == ("wrong data", "console 10.0.0.7")

    def test_what_no_bulk_can_be_is_refused(self, ledger: Ledger) -> None:
        """Before anything is recorded."""
        bad = (
            new_bulk(BulkAction.RETRY, {"states": [JobState.OFFERED]}),
            new_bulk(BulkAction.CANCEL, {"id": "x"}),
            new_bulk(BulkAction.CANCEL, {}, expected=-1),
            new_bulk(BulkAction.CANCEL, {}, actor=""),
        )
        for each in bad:
            assert raises(OptionInvalidError, partial(ledger.bulk_start, each))
        assert ledger.bulks().items == []
        assert ledger.audits().items == []
        for work in (ledger.bulk, ledger.bulk_turn, ledger.bulk_stop):
            assert raises(NotFoundError, partial(work, "missing"))
