"""What is told at once, what is told together, and what is told to nobody."""

import json
from datetime import timedelta
from typing import Any

import pytest

from failsoft.dispatcher.maintenance.notifier import NEWS_FOR, Notifier
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.job_engine.policies.notifications import NotifyRule
from failsoft.job_engine.ports.notices import Telling
from failsoft.job_engine.records.job import JobRecord
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import FAILURE, claimed, offered, plan
from failsoft.worker.notifications import Telegraph
from tests.unit.support.attempts import EventList

EVERY = timedelta(minutes=10)
SECOND = timedelta(seconds=1)
ALL = NotifyRule(("*",), "ops", every=EVERY)


class Desk:
    """A ledger, its clock, and a notifier."""

    def __init__(self, *rules: NotifyRule, most: int = 500) -> None:
        self.clock = FrozenClock()
        self.ledger = MemoryLedger(self.clock)
        self.events = EventList()
        self.rules = rules or (ALL,)
        telegraph = Telegraph(self.clock)
        self.notifier = Notifier(
            self.ledger, self.rules, telegraph, listener=self.events, most=most
        )

    def fail(self, times: int = 1, **job: Any) -> None:
        for _ in range(times):
            self.ledger.conclude(claimed(self.ledger, offered(self.ledger, **job)), FAILURE)

    def tick_after(self, span: timedelta) -> int:
        self.clock.advance(span)
        return self.notifier.tick()

    @property
    def told(self) -> list[dict[str, Any]]:
        """The payloads of the notifications, the oldest first."""
        return [json.loads(job.payload) for job in self.jobs]

    @property
    def jobs(self) -> list[JobRecord]:
        found = self.ledger.list_jobs(limit=200, name=send_notification.name)
        return sorted(found, key=lambda job: job.id)

    @property
    def counts(self) -> list[tuple[str, int]]:
        return [(each["kind"], each["count"]) for each in self.told]


def test_a_failover_is_told_at_once_and_by_a_job_that_is_due() -> None:
    desk = Desk()
    reason = {"reason": "redis://me:hunter2@host refused"}
    desk.ledger.note_switch("rq", "over", reason)

    assert desk.notifier.tick() == 1

    [told], [job] = desk.told, desk.jobs
    assert (told["channel"], told["kind"], told["count"]) == ("ops", "engine.failed_over", 1)
    assert told["happenings"][0]["engine"] == "rq"
    assert told["happenings"][0]["reason"].endswith(" refused")
    assert "hunter2" not in job.payload
    assert job.id in {each.id for each in desk.ledger.due(10)}
    assert desk.events.kinds == ["notice.tell"]
    assert desk.notifier.tick() == 0


def test_a_storm_is_one_message_at_once_and_one_digest() -> None:
    desk = Desk()
    for _ in range(50):
        desk.fail(10)
        desk.tick_after(SECOND)
    assert desk.counts == [("job.fail", 10)]

    desk.tick_after(EVERY)
    desk.tick_after(EVERY)
    desk.tick_after(EVERY)

    assert desk.counts == [("job.fail", 10), ("job.fail", 490)]
    digest = desk.told[-1]
    assert len(digest["happenings"]) == 5
    assert digest["first_at"] < digest["last_at"]


def test_a_storm_that_one_look_finds_is_one_message_and_no_digest() -> None:
    desk = Desk()
    desk.fail(500)
    desk.tick_after(SECOND)
    desk.tick_after(EVERY)

    assert desk.counts == [("job.fail", 500)]


def test_what_the_look_finds_at_which_a_digest_is_due_is_in_it() -> None:
    desk = Desk()
    desk.fail()
    desk.tick_after(SECOND)
    desk.fail(3)
    desk.tick_after(SECOND)
    desk.fail(4)
    desk.tick_after(EVERY)
    desk.tick_after(EVERY)

    assert desk.counts == [("job.fail", 1), ("job.fail", 7)]


def test_what_comes_after_a_quiet_while_is_told_at_once() -> None:
    desk = Desk()
    desk.fail()
    desk.tick_after(SECOND)
    desk.tick_after(EVERY)

    desk.fail()
    desk.tick_after(SECOND)

    assert desk.counts == [("job.fail", 1)] * 2


def test_a_rule_without_a_digest_passes_over_what_comes_meanwhile() -> None:
    desk = Desk(NotifyRule(("job.fail",), "ops", every=EVERY, digest=False))
    desk.fail()
    desk.tick_after(SECOND)
    desk.fail(7)
    desk.tick_after(SECOND)
    desk.tick_after(EVERY)
    desk.fail(2)
    desk.tick_after(SECOND)

    assert desk.counts == [("job.fail", 1), ("job.fail", 2)]


def test_another_kind_and_another_engine_wait_for_no_digest() -> None:
    desk = Desk()
    desk.fail()
    desk.ledger.note_switch("rq", "over", {})
    desk.tick_after(SECOND)
    desk.ledger.note_switch("dramatiq", "over", {})
    desk.ledger.note_switch("rq", "back", {})
    desk.tick_after(SECOND)

    assert sorted(kind for kind, _ in desk.counts) == [
        "engine.failed_back",
        "engine.failed_over",
        "engine.failed_over",
        "job.fail",
    ]


def test_each_rule_that_chooses_a_notice_tells_it() -> None:
    desk = Desk(
        NotifyRule(("job.*",), "ops", job="send_*"),
        NotifyRule(("job.fail",), "mail"),
        NotifyRule(("*",), "others", job="import_*"),
        NotifyRule(("engine.*",), "engines"),
    )
    desk.fail()

    desk.notifier.tick()

    assert sorted(each["channel"] for each in desk.told) == ["mail", "ops"]
    assert desk.ledger.pending_notices().untold == []


def test_a_notification_that_fails_is_told_to_nobody() -> None:
    desk = Desk()
    desk.fail()
    desk.tick_after(SECOND)
    for _ in range(5):
        for job in desk.jobs:
            if not job.state.is_terminal:
                moved = desk.ledger.offer(job, plan())
                assert moved is not None
                desk.ledger.conclude(claimed(desk.ledger, moved), FAILURE)
        desk.tick_after(EVERY)

    assert desk.counts == [("job.fail", 1)]
    assert desk.jobs[0].state == "failed"
    assert desk.ledger.pending_notices().untold == []


def test_what_is_no_news_any_more_is_marked_and_not_told() -> None:
    desk = Desk()
    desk.fail(3)
    desk.tick_after(NEWS_FOR + SECOND)

    assert desk.counts == []
    assert desk.ledger.pending_notices().untold == []


def test_several_full_looks_are_one_tick() -> None:
    desk = Desk(most=10)
    desk.fail(95)

    desk.notifier.tick()
    desk.tick_after(EVERY)

    assert sum(count for _, count in desk.counts) == 95
    assert len(desk.counts) == 2


def test_a_process_that_was_late_tells_nothing() -> None:
    desk = Desk()
    desk.fail()
    pending = desk.ledger.pending_notices()
    late = Late(desk.ledger, pending)
    second = Notifier(late, desk.rules, Telegraph(desk.clock), listener=desk.events)
    desk.notifier.tick()

    assert second.tick() == 0
    assert desk.counts == [("job.fail", 1)]


class Late:
    """A ledger whose look is an old one."""

    def __init__(self, ledger: MemoryLedger, pending: Any) -> None:
        self._ledger = ledger
        self._pending = pending

    def pending_notices(self, limit: int = 500) -> Any:
        return self._pending

    def tell(self, telling: Telling) -> bool:
        return self._ledger.tell(telling)

    def note_unserved(self) -> list[str]:
        return []


def test_a_reply_that_was_lost_is_not_told_again() -> None:
    desk = Desk()
    desk.fail()
    broken = LosesReply(desk.ledger, desk.ledger.pending_notices())
    notifier = Notifier(broken, desk.rules, Telegraph(desk.clock), listener=desk.events)
    with pytest.raises(LedgerUnavailableError):
        notifier.tick()

    desk.tick_after(SECOND)

    assert desk.counts == [("job.fail", 1)]


class LosesReply(Late):
    """Does what it should, and answers nothing."""

    def tell(self, telling: Telling) -> bool:
        super().tell(telling)
        raise LedgerUnavailableError


def test_no_payload_and_no_text_of_an_error_is_told() -> None:
    desk = Desk()
    desk.fail(payload='{"card": "4111"}')

    desk.notifier.tick()

    [job] = desk.jobs
    assert "4111" not in job.payload
    assert "no such user" not in job.payload
    assert "ValueError" in job.payload
