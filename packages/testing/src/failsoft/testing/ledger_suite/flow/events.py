# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises to jobs that wait for events."""

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import SUSPEND, JobState
from failsoft.job_engine.records.waits import WAKE, SentEvent, Wait, event_topic
from failsoft.testing.ledger_suite.fixtures import (
    LONG,
    MOMENT,
    PassTime,
    claimed,
    expect_sound_history,
    is_fenced,
    reoffered,
    started,
    taken_over,
)
from failsoft.testing.ledger_suite.races import at_once

#: Longer than it takes to look twice, also on a machine that is busy.
WHILE = MOMENT * 40
#: How often a race between a wait and an event is repeated.
ROUNDS = 15


class EventPromises:
    """`receive`, `send` and a suspension that waits: neither misses the other."""

    def test_an_event_is_received_once_by_each_job(self, ledger: Ledger) -> None:
        """The oldest first, whichever step receives it."""
        claim = started(ledger)
        wait = wait_of(claim)
        for number in (1, 2):
            ledger.send(event_for(wait, number))

        met = [ledger.receive(claim, _step(f"s{n}", n), wait) for n in range(3)]

        said = [json.loads(each.result)["payload"] for each in met if each is not None]
        assert said == [1, 2]
        assert met[2] is None
        assert [s.kind for s in ledger.steps(claim.job_id)] == [
            StepKind.ANSWERED,
            StepKind.ANSWERED,
        ]

    def test_receiving_again_gives_what_was_received(self, ledger: Ledger) -> None:
        """The reply may have been lost (R12)."""
        claim = started(ledger)
        wait = wait_of(claim)
        ledger.send(event_for(wait, 1))
        ledger.send(event_for(wait, 2))

        first = ledger.receive(claim, _step(), wait)
        again = ledger.receive(claim, _step(), wait)

        assert first is not None
        assert again is not None
        assert again.result == first.result

    def test_a_fenced_attempt_receives_nothing(self, ledger: Ledger) -> None:
        """And the event stays for the one that has the authority (I3)."""
        old = started(ledger)
        wait = wait_of(old)
        ledger.send(event_for(wait, 1))
        new = taken_over(ledger, old)

        assert is_fenced(lambda: ledger.receive(old, _step(), wait))
        assert ledger.receive(new, _step(), wait) is not None

    def test_an_event_of_another_topic_is_not_received(self, ledger: Ledger) -> None:
        """Neither of another job nor of another name."""
        claim = started(ledger)
        ledger.send(event_for(wait_of(started(ledger)), 1))
        ledger.send(event_for(wait_of(claim, "other"), 1))

        assert ledger.receive(claim, _step(), wait_of(claim)) is None

    def test_an_event_id_is_kept_once(self, ledger: Ledger) -> None:
        """Sending it again is harmless (F22)."""
        claim = started(ledger)
        event = event_for(wait_of(claim), 1)
        ledger.send(event)
        ledger.send(event)

        met = [ledger.receive(claim, _step(f"s{n}", n), wait_of(claim)) for n in range(2)]

        assert met[0] is not None
        assert met[1] is None

    def test_an_event_is_kept_for_its_time(self, ledger: Ledger, pass_time: PassTime) -> None:
        """By the ledger's clock."""
        claim = started(ledger)
        ledger.send(replace(event_for(wait_of(claim), 1), keep=MOMENT))
        pass_time(MOMENT * 2)

        assert ledger.receive(claim, _step(), wait_of(claim)) is None

    def test_an_event_wakes_the_job_that_waits_for_it(self, ledger: Ledger) -> None:
        """No other job; the step still says that it waits."""
        claim, other = started(ledger), started(ledger)
        wait = wait_of(claim)
        suspend(ledger, claim, wait)
        suspend(ledger, other, wait_of(other))
        due_before = _due(ledger)

        woken = ledger.send(event_for(wait, 1))

        assert (due_before & {claim.job_id, other.job_id}, woken) == (set(), 1)
        assert claim.job_id in _due(ledger)
        assert other.job_id not in _due(ledger)
        assert [s.kind for s in ledger.steps(claim.job_id)] == [StepKind.WAIT]
        assert ledger.get(claim.job_id).state is JobState.SCHEDULED

    def test_a_wake_up_is_an_event_that_says_what_woke_the_job(self, ledger: Ledger) -> None:
        """Everything is (rule 22), whichever of the two came first."""
        for comes_first in (True, False):
            claim = started(ledger)
            event = event_for(wait_of(claim), 1)
            send = partial(ledger.send, event)

            if comes_first:
                send()
            suspend(ledger, claim, wait_of(claim))
            if not comes_first:
                send()

            woken = ledger.events(claim.job_id)[-1]
            assert (woken.kind, woken.state) == (WAKE, JobState.SCHEDULED)
            assert woken.detail == {"event": event.id}
            expect_sound_history(ledger, claim.job_id)

    def test_an_event_that_is_there_wakes_a_job_that_begins_to_wait(self, ledger: Ledger) -> None:
        """It came after the job had looked."""
        claim = started(ledger)
        ledger.send(event_for(wait_of(claim), 1))

        suspend(ledger, claim, wait_of(claim))

        assert claim.job_id in _due(ledger)

    def test_a_wait_and_an_event_at_the_same_moment_do_not_miss_each_other(
        self, ledger: Ledger
    ) -> None:
        """Whichever commits first, the other one sees it."""
        for _ in range(ROUNDS):
            claim = started(ledger)
            wait = wait_of(claim)
            both: list[Callable[[], object]] = [
                partial(suspend, ledger, claim, wait),
                partial(ledger.send, event_for(wait, 1)),
            ]
            at_once(both)

            assert claim.job_id in _due(ledger)

    def test_a_wait_that_lasts_too_long_is_over(self, ledger: Ledger, pass_time: PassTime) -> None:
        """Its time runs from its beginning, also if another wake-up came meanwhile."""
        claim = started(ledger)
        wait = wait_of(claim, timeout=WHILE)
        suspend(ledger, claim, wait)
        again = claimed(ledger, reoffered(ledger, claim.job_id))
        early = ledger.receive(again, _step(), wait)
        suspend(ledger, again, wait)
        pass_time(WHILE)

        assert claim.job_id in _due(ledger)
        last = claimed(ledger, reoffered(ledger, claim.job_id))
        late = ledger.receive(last, _step(), wait)
        assert early is None
        assert late is not None
        assert json.loads(late.result) == {"timeout": True}


def _step(name: str = "wait", seq: int = 0) -> StepRecord:
    return StepRecord(name, seq, StepKind.WAIT, "{}")


def wait_of(claim: Claim, name: str = "answer", timeout: timedelta | None = None) -> Wait:
    """Return the wait of a job for an event that is sent to it."""
    return Wait(event_topic(name, job_id=claim.job_id), timeout)


def event_for(wait: Wait, payload: int) -> SentEvent:
    """Return an event that a job waits for."""
    return SentEvent(secrets.token_hex(8), wait.topic, "answer", json.dumps(payload))


def suspend(ledger: Ledger, claim: Claim, wait: Wait) -> None:
    """Suspend a job that waits."""
    conclusion = Conclusion(SUSPEND, delay=LONG, step=_step(), wait=wait)
    assert ledger.conclude(claim, conclusion) is JobState.SCHEDULED


def _due(ledger: Ledger) -> set[str]:
    return {job.id for job in ledger.due(1000)}
