# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises about the jobs that stand still: what for, and since when."""

import json
from dataclasses import replace
from functools import partial

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.policies.uniqueness import hashed
from failsoft.job_engine.ports.console import MOST_ON_A_PAGE, KeyUse, Page, Waiting
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Claim, Conclusion, StepKind, StepRecord
from failsoft.job_engine.records.states import SUSPEND
from failsoft.job_engine.records.waits import SentEvent, Wait, event_topic
from failsoft.testing.ledger_suite.console.lists import walked
from failsoft.testing.ledger_suite.fixtures import (
    LONG,
    MOMENT,
    PassTime,
    claimed,
    offered,
    raises,
    started,
    waiting,
)

_TWO = Limits(Limit(hashed("two at once"), 2))
_HOURLY = Limits(rate=Limit(hashed("one an hour"), 1, LONG))


class StandingPromises:
    """`waits` and `limit_keys`."""

    def test_a_job_that_waits_is_listed_with_what_it_waits_for(self, ledger: Ledger) -> None:
        """Until an event wakes it."""
        claim, timed = started(ledger), started(ledger)
        _suspend(ledger, claim, Wait(event_topic("paid", key="o-7"), event="paid", key="o-7"))
        mine = event_topic("approved", job_id=timed.job_id)
        _suspend(ledger, timed, Wait(mine, LONG, event="approved"))

        found = {each.job.id: each for each in ledger.waits().items}

        one, other = found[claim.job_id], found[timed.job_id]
        assert (one.step, one.event, one.key, one.child_id, one.until) == (
            *("wait", "paid", "o-7"),
            *(None, None),
        )
        assert (other.event, other.key) == ("approved", None)
        assert other.until == other.since + LONG
        ledger.send(SentEvent("e-1", mine, "approved", "null"))
        assert [each.job.id for each in ledger.waits().items] == [claim.job_id]

    def test_waits_are_read_page_by_page_those_for_the_same_together(self, ledger: Ledger) -> None:
        """Each once."""
        topics = [event_topic("paid", key=f"o-{place % 3}") for place in range(7)]
        for topic in topics:
            _suspend(ledger, started(ledger), Wait(topic, event="paid", key="o"))

        found = walked(partial(_waits, ledger))

        assert len({each.job.id for each in found}) == len(topics)
        assert not ledger.waits(limit=MOST_ON_A_PAGE).after

    def test_a_key_of_a_limit_says_what_it_has_room_for(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """And when there is room again, until its jobs have ended."""
        claimed(ledger, offered(ledger, limits=_TWO, name="import_csv"))
        for _ in range(3):
            waiting(ledger, limits=_TWO, name="import_csv")
        claimed(ledger, offered(ledger, limits=_HOURLY, name="report"))

        busy, rate = ledger.limit_keys().items

        assert (busy.name, busy.use.taken, busy.use.limit) == ("import_csv", 1, _TWO.concurrency)
        assert (busy.waiting.number, busy.next_room) == (3, None)
        assert (rate.name, rate.use.taken, rate.use.is_full) == ("report", 1, True)
        assert rate.next_room is not None
        pass_time(LONG + MOMENT)
        assert ledger.limit_keys().items[1].next_room is None

    def test_keys_of_limits_are_read_page_by_page(self, ledger: Ledger) -> None:
        """Both kinds, each key once however many jobs share it."""
        for place in range(6):
            key = Limit(hashed(f"k{place % 3}"), 2)
            rate = replace(key, period=LONG)
            waiting(ledger, limits=Limits(key, rate if place % 2 else None))

        found = walked(partial(_keys, ledger))

        keys = [(each.use.limit.period is not None, each.use.limit.key) for each in found]
        assert keys == sorted(set(keys))
        assert len(keys) == 6  # noqa: PLR2004 - three keys of each kind

    def test_a_cursor_of_another_list_is_refused(self, ledger: Ledger) -> None:
        """As one that was edited."""
        for place in range(3):
            waiting(ledger, limits=Limits(Limit(hashed(f"k{place}"), 2)))
        after = ledger.limit_keys(limit=1).after

        assert raises(OptionInvalidError, lambda: ledger.waits(after))
        assert raises(OptionInvalidError, lambda: ledger.limit_keys(limit=MOST_ON_A_PAGE + 1))


def _waits(ledger: Ledger, cursor: str | None) -> Page[Waiting]:
    return ledger.waits(cursor, 2)


def _keys(ledger: Ledger, cursor: str | None) -> Page[KeyUse]:
    return ledger.limit_keys(cursor, 2)


def _suspend(ledger: Ledger, claim: Claim, wait: Wait) -> None:
    seconds = None if wait.timeout is None else wait.timeout.total_seconds()
    note = {"timeout_s": seconds, "job": None, "event": wait.event, "key": wait.key}
    step = StepRecord("wait", 0, StepKind.WAIT, json.dumps(note))
    ledger.conclude(claim, Conclusion(SUSPEND, delay=LONG, step=step, wait=wait))
