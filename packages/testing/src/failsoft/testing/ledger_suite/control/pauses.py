# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about queues, definitions and engines that are paused."""

from datetime import timedelta

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    FIRST,
    SECOND,
    SUCCESS,
    claimed,
    offered,
    plan,
    started,
    step,
    ticket,
    waiting,
)

QUEUE = Pause("queue", "default", "ada", "the bank is closed")
JOB = Pause("job", "send_welcome", "ada")
ENGINE = Pause("engine", FIRST, "ada", "its host is moved")


class PausePromises:
    """`pause`: nothing begins; what runs goes on; nothing is lost."""

    def test_what_is_paused_is_not_due(self, ledger: Ledger) -> None:
        """Until it is resumed; then all of it is."""
        for pause in (QUEUE, JOB):
            job = waiting(ledger, timedelta(0))
            other = waiting(ledger, timedelta(0), name="other", queue="slow")
            ledger.pause(pause)

            assert job.id not in _due(ledger)
            assert other.id in _due(ledger)
            ledger.unpause(pause.kind, pause.name)
            assert {job.id, other.id} <= _due(ledger)

    def test_what_is_paused_cannot_be_claimed(self, ledger: Ledger) -> None:
        """Its message may be on its way; the job is as it was, and may be parked."""
        for pause in (QUEUE, JOB):
            job = offered(ledger)
            ledger.pause(pause)

            assert ledger.claim(ticket(job)) is None
            assert ledger.get(job.id) == job
            parked = ledger.park(job, timedelta(0), "paused")
            assert parked is not None
            assert parked.state is JobState.SCHEDULED
            ledger.unpause(pause.kind, pause.name)

    def test_an_offer_can_be_claimed_again_after_the_pause(self, ledger: Ledger) -> None:
        """Nothing was taken from it."""
        job = offered(ledger)
        ledger.pause(QUEUE)
        ledger.claim(ticket(job))
        ledger.unpause("queue", "default")

        assert claimed(ledger, job).attempt == 1

    def test_what_runs_goes_on_to_its_end(self, ledger: Ledger) -> None:
        """Its steps are recorded, and its result is."""
        claim = started(ledger)
        ledger.pause(QUEUE)
        ledger.pause(JOB)

        ledger.record(claim, step())

        assert ledger.renew([claim])
        assert ledger.conclude(claim, SUCCESS) is JobState.SUCCEEDED

    def test_a_claim_whose_reply_was_lost_is_answered_again(self, ledger: Ledger) -> None:
        """It was made before the pause (R13)."""
        shown = ticket(offered(ledger))
        claim = ledger.claim(shown)
        ledger.pause(QUEUE)

        assert ledger.claim(shown) == claim

    def test_a_pause_is_kept_as_it_was_made_first(self, ledger: Ledger) -> None:
        """Pausing and resuming again change nothing."""
        first = ledger.pause(QUEUE)
        again = ledger.pause(Pause("queue", "default", "bob"))
        ledger.pause(ENGINE)
        ledger.pause(JOB)

        assert first == again
        assert first.since is not None
        assert (first.actor, first.reason) == ("ada", "the bank is closed")
        assert [(p.kind, p.name) for p in ledger.pauses()] == [
            ("queue", "default"),
            ("job", "send_welcome"),
            ("engine", FIRST),
        ]
        assert [ledger.unpause("queue", "default") for _ in range(2)] == [True, False]
        assert [p.kind for p in ledger.pauses()] == ["job", "engine"]

    def test_a_pause_covers_a_queue_or_a_definition_and_no_other(self, ledger: Ledger) -> None:
        """A queue may bear the name of a definition."""
        ledger.pause(Pause("queue", "send_welcome", "ada"))
        ledger.pause(Pause("job", "default", "ada"))
        ledger.pause(Pause("engine", "default", "ada"))

        claimed(ledger, offered(ledger))
        assert waiting(ledger, timedelta(0)).id in _due(ledger)

    def test_no_offer_of_a_paused_engine_can_be_claimed(self, ledger: Ledger) -> None:
        """Those of others can be, and this one can be when the pause is over."""
        job, other = offered(ledger, FIRST), offered(ledger, SECOND)
        ledger.pause(ENGINE)

        assert ledger.claim(ticket(job)) is None
        assert ledger.get(job.id) == job
        claimed(ledger, other)
        ledger.unpause("engine", FIRST)
        assert claimed(ledger, job).attempt == 1

    def test_the_jobs_of_a_paused_engine_are_due_for_another(self, ledger: Ledger) -> None:
        """It was offered there, and may go elsewhere."""
        job = offered(ledger, FIRST)
        ledger.pause(ENGINE)
        parked = ledger.park(job, timedelta(0), "no engine takes it")
        assert parked is not None

        assert job.id in _due(ledger)
        moved = ledger.offer(parked, plan(SECOND))
        assert moved is not None
        claimed(ledger, moved)

    def test_what_runs_on_a_paused_engine_goes_on_to_its_end(self, ledger: Ledger) -> None:
        """As with a queue."""
        claim = started(ledger)
        ledger.pause(ENGINE)

        ledger.record(claim, step())

        assert ledger.renew([claim])
        assert ledger.conclude(claim, SUCCESS) is JobState.SUCCEEDED


def _due(ledger: Ledger) -> set[str]:
    found: list[JobRecord] = list(ledger.due(10))
    return {job.id for job in found}
