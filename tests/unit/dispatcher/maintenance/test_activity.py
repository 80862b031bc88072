"""What a process notes of its breakers, and the figures that it keeps of a minute."""

from datetime import timedelta

import pytest

from failsoft.dispatcher.maintenance.activity import AGAIN_SECONDS, SAMPLE_SECONDS, ActivityNotes
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.ports.console import OpenBreaker
from tests.unit.support.memory_app import MemoryApp

FRESH = timedelta(seconds=30)


def notes(app: MemoryApp) -> ActivityNotes:
    return ActivityNotes(app.ledger, app.engines, app.clock)


def broken(app: MemoryApp) -> list[OpenBreaker]:
    return list(app.ledger.breakers(FRESH))


def test_an_open_breaker_is_noted_with_its_reason() -> None:
    app = MemoryApp()
    mine = notes(app)
    app.engines.failed("rq", "connection refused")
    app.clock.advance(timedelta(seconds=1))

    mine.tick()
    mine.tick()

    assert [(each.engine, each.reason) for each in broken(app)] == [("rq", "connection refused")]


def test_it_is_noted_again_so_that_it_stays_fresh() -> None:
    app = MemoryApp()
    mine = notes(app)
    app.engines.failed("rq", "connection refused")
    mine.tick()
    first = broken(app)[0]
    app.clock.advance(timedelta(seconds=AGAIN_SECONDS - 1))
    mine.tick()
    unchanged = broken(app)[0]
    app.clock.advance(timedelta(seconds=1))
    mine.tick()

    assert unchanged == first
    assert broken(app)[0].seen_at - first.seen_at == timedelta(seconds=AGAIN_SECONDS)
    assert broken(app)[0].since == first.since


def test_a_breaker_that_closes_has_no_row() -> None:
    app = MemoryApp()
    mine = notes(app)
    app.engines.failed("rq", "connection refused")
    mine.tick()
    app.clock.advance(timedelta(minutes=2))
    app.engines.check()
    while app.engines.breaker("rq").is_open:
        app.clock.advance(timedelta(seconds=10))
        app.engines.check()

    mine.tick()

    assert broken(app) == []


def test_each_process_has_breakers_of_its_own() -> None:
    app = MemoryApp()
    app.engines.failed("rq", "connection refused")
    for _ in range(2):
        notes(app).tick()

    assert len({each.boot_id for each in broken(app)}) == 2


def test_a_minute_is_sampled_by_whichever_process_comes_first() -> None:
    app = MemoryApp()
    app.dispatch()
    first, other = notes(app), notes(app)
    began = app.clock.now()
    for _ in range(6):
        first.tick()
        other.tick()
        app.clock.advance(timedelta(seconds=SAMPLE_SECONDS))

    found = app.ledger.samples(began - timedelta(minutes=1))

    minutes = [each.minute for each in found if each.metric in {"waiting", "scheduled"}]
    assert len(minutes) == len(set(minutes)) >= 2


def test_what_a_ledger_that_is_away_was_not_told_is_noted_later() -> None:
    app = MemoryApp()
    mine = notes(app)
    app.engines.failed("rq", "connection refused")
    app.ledger.down()
    with pytest.raises(LedgerUnavailableError):
        mine.tick()

    app.ledger.up()
    mine.tick()

    assert [each.engine for each in broken(app)] == ["rq"]
