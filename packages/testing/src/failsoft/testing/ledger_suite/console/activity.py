# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises to keep of what has happened, and of what people did."""

import secrets
from dataclasses import replace
from datetime import timedelta
from functools import partial

from failsoft.job_engine.errors import JobNotFoundError, OptionInvalidError
from failsoft.job_engine.ports.console import AuditEntry
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import (
    Conclusion,
    StepKind,
    StepRecord,
    WorkerInfo,
    WorkerRecord,
)
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import CRASH_OUT, HOLD, JobState
from failsoft.testing.ledger_suite.console.lists import walked
from failsoft.testing.ledger_suite.fixtures import (
    ERROR,
    FAILURE,
    MOMENT,
    SUCCESS,
    PassTime,
    ended,
    new_job,
    offered,
    plan,
    raises,
    started,
    step,
    ticket,
)


def entry(action: str, kind: str, target: str) -> AuditEntry:
    """Return an entry that is not recorded yet."""
    return AuditEntry(secrets.token_hex(8), "ada", "cli ada", action, kind, target, "a test")


class ActivityPromises:
    """`acting`, `audit`, `notices`, breakers, samples, stories."""

    def test_an_action_is_recorded_with_what_it_came_to(self, ledger: Ledger) -> None:
        """In the transaction that does it."""
        job = offered(ledger)
        for _ in range(2):
            with ledger.acting(entry("cancel", "job", job.id)):
                ledger.cancel(job.id, "ada")
        for _ in range(2):
            with ledger.acting(entry("unpause", "queue", "mail")):
                ledger.unpause("queue", "mail")
        with ledger.acting(entry("pause", "queue", "mail")):
            ledger.pause(Pause("queue", "mail", "ada"))

        of_job = [each.outcome for each in ledger.audits(target=job.id).items]
        of_queue = [(e.action, e.outcome) for e in ledger.audits(target="mail").items]
        found = walked(lambda after: ledger.audits(after, limit=2))

        assert sorted(of_job) == ["cancelled", "ended"]
        assert sorted(of_queue) == [("pause", "done"), *[("unpause", "unchanged")] * 2]
        assert len(found) == len({each.id for each in found}) == len([*of_job, *of_queue])
        assert all(each.at is not None and each.actor == "ada" for each in found)

    def test_an_action_that_fails_leaves_no_entry(self, ledger: Ledger) -> None:
        """Neither does anything that is done outside of the block."""
        with ledger.acting(entry("retry", "job", "missing")):
            assert raises(JobNotFoundError, lambda: ledger.retry(ManualRetry("missing", "ada")))
        ledger.pause(Pause("queue", "mail", "ada"))

        assert ledger.audits().items == []

    def test_a_refusal_is_recorded_once(self, ledger: Ledger) -> None:
        """However often; what no ledger could keep is refused."""
        refused = replace(entry("cancel", "job", "x"), outcome="refused", detail={"why": "role"})
        for _ in range(2):
            ledger.audit(refused)

        (found,) = ledger.audits().items

        assert (found.outcome, found.detail, found.reason) == ("refused", {"why": "role"}, "a test")
        for bad in (replace(refused, actor="a\0"), replace(refused, source="")):
            assert raises(OptionInvalidError, partial(ledger.audit, bad))

    def test_holds_failures_and_crash_loops_are_noticed(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Once each, the newest first; a success is not."""
        held, failed, looped = started(ledger), started(ledger), started(ledger)
        ledger.conclude(held, Conclusion(HOLD, error=ERROR, reason="code changed"))
        pass_time(MOMENT)
        for _ in range(2):
            ledger.conclude(failed, FAILURE)
        pass_time(MOMENT)
        ledger.conclude(looped, Conclusion(CRASH_OUT, error=ERROR, reason="crash loop"))
        ended(ledger, JobState.SUCCEEDED)
        ended(ledger, JobState.CANCELLED)

        found = walked(lambda after: ledger.notices(after, limit=1))

        assert [(each.kind, each.job_id) for each in found] == [
            ("job.crash_loop", looped.job_id),
            ("job.fail", failed.job_id),
            ("job.hold", held.job_id),
        ]
        assert found[-1].detail == {"reason": "code changed"}
        assert (found[-1].queue, found[-1].told_at) == ("default", None)

    def test_a_switch_of_engines_is_noticed_once_in_a_minute(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Whatever processes see it."""
        said = [ledger.note_switch("first", "over", {"reason": "away"}) for _ in range(3)]
        other = ledger.note_switch("second", "over", {})
        pass_time(2 * MOMENT)

        assert said.count(True) == 1
        assert other
        assert ledger.note_switch("first", "over", {})
        assert ledger.note_switch("first", "back", {})
        assert {each.kind for each in ledger.notices().items} == {
            "engine.failed_over",
            "engine.failed_back",
        }

    def test_a_breaker_has_a_row_while_it_is_open(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """And one that no process reports any more is not fresh."""
        ledger.note_breakers("p1", {"first": (MOMENT, "away")})
        ledger.note_breakers("p2", {"first": (MOMENT, "away"), "second": (MOMENT, "full")})
        ledger.note_breakers("p2", {"second": (MOMENT, "full")})

        seen = [(each.boot_id, each.engine) for each in ledger.breakers(MOMENT)]
        (opened, _) = ledger.breakers(MOMENT)

        assert seen == [("p1", "first"), ("p2", "second")]
        assert timedelta(0) <= opened.seen_at - opened.since - MOMENT < MOMENT
        pass_time(2 * MOMENT)
        assert not ledger.breakers(MOMENT)

    def test_a_minute_is_sampled_once(self, ledger: Ledger, pass_time: PassTime) -> None:
        """By whichever process is first."""
        job = offered(ledger)
        assert [ledger.take_sample() for _ in range(3)].count(True) == 1
        pass_time(MOMENT)
        assert ledger.take_sample()

        found = ledger.samples(job.created_at - MOMENT)

        assert [(s.queue, s.engine, s.metric, s.value) for s in found] == [
            ("default", "first", "waiting", 1)
        ] * 2
        assert found[0].minute + MOMENT == found[1].minute

    def test_a_story_has_all_that_is_kept_of_a_job(self, ledger: Ledger) -> None:
        """As the single methods return it."""
        claim = started(ledger)
        ledger.record(claim, replace(step(), elapsed=1.5))
        ledger.conclude(claim, FAILURE)
        again, _ = ledger.retry(ManualRetry(claim.job_id, "ada"))

        story = ledger.story(claim.job_id)

        assert story.job == ledger.get(claim.job_id)
        assert list(story.attempts) == list(ledger.attempts(claim.job_id))
        assert list(story.steps) == list(ledger.steps(claim.job_id))
        assert list(story.events) == list(ledger.events(claim.job_id))
        assert [each.id for each in story.relations.again] == [again.id]
        assert [each.elapsed for each in story.steps] == [1.5]
        origin = ledger.relatives(again.id).origin
        assert origin is not None
        assert origin.id == claim.job_id
        assert raises(JobNotFoundError, lambda: ledger.story("missing"))
        assert ledger.relatives("missing") == ledger.relatives(offered(ledger).id)

    def test_the_jobs_of_a_chain_are_relatives(self, ledger: Ledger) -> None:
        """Before and after they have begun to wait for one another no more."""
        jobs = [
            new_job(id="c-0", follow_ups='{"then": {"job_id": "c-1"}}'),
            new_job(id="c-1", waits_for="c-0"),
        ]
        ledger.record_chain(jobs, plan())
        waits = ledger.relatives("c-1").before
        first = ledger.relatives("c-0").then
        claim = ledger.claim(ticket(ledger.get("c-0")))
        assert claim is not None
        ledger.conclude(claim, SUCCESS)
        freed = ledger.relatives("c-1").before

        assert [each.id if each else None for each in (waits, first, freed)] == [
            "c-0",
            "c-1",
            "c-0",
        ]

    def test_a_once_step_and_others_keep_how_long_they_took(self, ledger: Ledger) -> None:
        """A step whose time is not known has none."""
        claim = started(ledger)
        ledger.record(claim, StepRecord("pay", 0, StepKind.INTENT, "null"))
        ledger.record(claim, StepRecord("pay", 0, StepKind.ONCE, '"paid"', elapsed=0.25))
        ledger.record(claim, step("next", 1))

        assert [each.elapsed for each in ledger.steps(claim.job_id)] == [0.25, None]
        assert [each.elapsed for each in ledger.begin(claim, "pay", 0)] == [0.25]

    def test_a_worker_says_of_itself_what_its_last_beat_said(self, ledger: Ledger) -> None:
        """Its release, its memory, the breakers that it sees."""
        worker = WorkerRecord("boot", "first", "default", "host", 1, 4)
        ledger.beat(worker, MOMENT)
        said = WorkerInfo("1.2.3", "3.12.1", 7, 2, 51_200, ("first",))
        ledger.beat(replace(worker, info=said), MOMENT)

        assert [each.info for each in ledger.live_workers()] == [said]
