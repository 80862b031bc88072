# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about telling its notices: each once, with the jobs that tell it."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from failsoft.job_engine.policies.notifications import SKIPS
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.ports.notices import UNSERVED_AFTER, Digest, Telling
from failsoft.job_engine.records.job import Conclusion, WorkerRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.dispatching.schedules import declared, the, tick_of
from failsoft.testing.ledger_suite.fixtures import (
    ERROR,
    FAILURE,
    FIRST,
    LONG,
    MOMENT,
    PassTime,
    new_job,
    offered,
    started,
    waiting,
)
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once


def untold_ids(ledger: Ledger) -> list[str]:
    """Return the ids of the notices that were not told, the oldest first."""
    return [each.notice.id for each in ledger.pending_notices().untold]


class NoticePromises:
    """`NoticeLedger`, and the notices of ticks that are left out."""

    def test_what_is_told_is_told_once(self, ledger: Ledger, pass_time: PassTime) -> None:
        """With the jobs that tell it, due at once; the oldest first."""
        failed, held = started(ledger), started(ledger)
        ledger.conclude(failed, FAILURE)
        pass_time(MOMENT)
        ledger.conclude(held, Conclusion(HOLD, error=ERROR, reason="code changed"))

        first, second = ledger.pending_notices().untold
        job = new_job()
        telling = Telling([first.notice.id], jobs=[job])
        done = [ledger.tell(telling) for _ in range(2)]

        assert [(each.notice.kind, each.job, each.error_type) for each in (first, second)] == [
            ("job.fail", "send_welcome", "ValueError"),
            ("job.hold", "send_welcome", "ValueError"),
        ]
        assert done == [True, False]
        assert untold_ids(ledger) == [second.notice.id]
        assert ledger.get(job.id).state is JobState.SCHEDULED
        told = {each.id: each.told_at for each in ledger.notices().items}
        assert told[first.notice.id] is not None
        assert told[second.notice.id] is None

    def test_what_is_told_in_part_is_told_by_nobody(self, ledger: Ledger) -> None:
        """All of it or none: nothing is marked, and no job is recorded."""
        ledger.note_switch(FIRST, "over", {})
        (known,) = untold_ids(ledger)
        job = new_job()
        digest = Digest("rule", "topic", ledger.pending_notices().now + LONG)

        assert not ledger.tell(Telling([known, "missing"], [(None, digest)], [job]))

        assert untold_ids(ledger) == [known]
        assert ledger.pending_notices().digests == []
        assert ledger.find_ids(job.id, 1) == []

    def test_a_digest_changes_only_as_it_was_seen(self, ledger: Ledger) -> None:
        """With the notices that it is about: of two that saw the same, one is too late."""
        ledger.note_switch(FIRST, "over", {})
        ledger.note_switch(FIRST, "back", {})
        one, other = untold_ids(ledger)
        now = ledger.pending_notices().now
        new = Digest("rule", "topic", now + LONG, 2, now, now, [{"id": "a", "reason": "ä"}])
        grown = replace(new, count=3)

        assert ledger.tell(Telling([one], [(None, new)]))
        assert not ledger.tell(Telling([other], [(None, new)]))
        assert ledger.pending_notices().digests == [new]
        assert ledger.tell(Telling([other], [(new, grown)]))
        assert not ledger.tell(Telling([], [(new, replace(new, count=7))], [new_job(id="late")]))
        assert ledger.pending_notices().digests == [grown]
        assert ledger.find_ids("late", 1) == []
        assert untold_ids(ledger) == []

    def test_of_many_that_tell_at_once_one_does(self, ledger: Ledger) -> None:
        """Each notice, whatever they have seen."""
        for number in range(ROUNDS):
            ledger.note_switch(f"engine-{number}", "over", {})
        for notice in untold_ids(ledger):
            tellings = [Telling([notice], jobs=[new_job()]) for _ in range(CROWD)]
            done = at_once([partial(ledger.tell, each) for each in tellings])

            assert done.count(True) == 1
            jobs = [each for telling in tellings for each in telling.jobs]
            assert sum(bool(ledger.find_ids(each.id, 1)) for each in jobs) == 1

    def test_ticks_left_out_in_a_row_are_noticed(self, ledger: Ledger) -> None:
        """Three of them, once; a tick that is fired begins the count again."""
        seen = declared(ledger)
        for fires in (False, False, True, *[False] * (SKIPS + 1)):
            tick = replace(tick_of(seen), reason="missed")
            ledger.take_tick(seen, tick if fires else replace(tick, job=None))
            seen = the(ledger)

        (found,) = ledger.pending_notices().untold

        assert (found.notice.kind, found.job) == ("schedule.skip", "sweep")
        assert found.notice.detail["reason"] == "missed"
        assert seen.skips == SKIPS + 1

    def test_a_queue_that_nobody_serves_is_noticed(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """Once an hour, if a job waits in it for a while, and it is not paused."""
        offered(ledger, queue="mail")
        waiting(ledger, delay=MOMENT, queue="later")
        waiting(ledger, delay=2 * LONG, queue="long-after")
        offered(ledger, queue="served")
        offered(ledger, queue="paused")
        ledger.pause(Pause("queue", "paused", "ada"))
        assert ledger.note_unserved() == []
        pass_time(UNSERVED_AFTER + timedelta(seconds=1))
        ledger.beat(WorkerRecord("boot", FIRST, "served", "host", 1, 4), MOMENT)

        assert ledger.note_unserved() == ["later", "mail"]
        assert ledger.note_unserved() == []
        pass_time(LONG)
        assert ledger.note_unserved() == ["later", "mail", "served"]

        kinds = {(each.notice.kind, each.notice.queue) for each in ledger.pending_notices().untold}
        assert ("queue.unserved", "mail") in kinds
