"""What waits at an engine that is known to be dead is handed over at once; nothing else is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.dispatcher.maintenance.evacuation import BATCH, KNOWN_DEAD, MAX_HANDOFFS
from failsoft.dispatcher.maintenance.known_dead import SIGN_OF_LIFE
from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.token_bucket import TokenBucket
from failsoft.job_engine import JobState
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.records.new_job import OfferPlan
from tests.unit.support.memory_app import MemoryApp

A_LOOK = timedelta(seconds=1)
#: The first look sees what waits; the second that it stands still, and that the engine fails twice.
LOOKS = 2


def look(app: MemoryApp, times: int = LOOKS) -> None:
    maintenance = Maintenance(app.engines, app.stager, app.rescuer)
    for _ in range(times):
        app.clock.advance(A_LOOK)
        app.workers()
        maintenance.tick()


def engines_of(handles: Sequence[JobHandle[object]]) -> list[str | None]:
    return [handle.job().engine for handle in handles]


def stranded(app: MemoryApp, count: int = 5) -> list[JobHandle[object]]:
    app.workers()
    handles = [app.dispatch() for _ in range(count)]
    app.rq.down()
    return handles


def test_everything_is_handed_over_long_before_its_deadline_and_without_tokens() -> None:
    app = MemoryApp()
    handles = stranded(app, BATCH + 5)
    app.rescuer._late_offers._moves = TokenBucket(rate=0, burst=0, clock=app.clock)

    look(app)

    jobs = [handle.job() for handle in handles]
    assert {(job.state, job.engine, job.epoch) for job in jobs} == {
        (JobState.OFFERED, "dramatiq", 2)
    }
    assert len(app.offered(app.dramatiq)) == BATCH + 5
    assert DEFAULT.pickup > LOOKS * A_LOOK


def test_the_history_and_the_log_say_why() -> None:
    app = MemoryApp()
    handles = stranded(app)

    look(app)

    last = app.ledger.events(handles[0].id)[-1]
    assert (last.kind, last.detail) == (
        "reoffer",
        {"engine": "dramatiq", "from": "rq", "reason": KNOWN_DEAD},
    )
    (event,) = [each for each in app.events if each.kind == "engine.evacuated"]
    assert (event.engine, event.queue) == ("dramatiq", "default")
    moved = {"from": "rq", "jobs": len(handles), "reason": KNOWN_DEAD}
    assert event.detail == moved | {"cause": "unavailable"}


def test_one_failure_makes_no_engine_known_to_be_dead() -> None:
    app = MemoryApp()
    handles = stranded(app)
    probe, found = app.rq.probe, list[bool]()

    def fails_once(*given: Any) -> EngineHealth:
        health = probe(*given)
        found.append(health.healthy)
        app.rq.up()
        return health

    app.rq.probe = fails_once  # type: ignore[method-assign]
    look(app, 5)

    assert found[:2] == [False, True]
    assert app.events.kinds.count("engine.failed_over") == 1
    assert set(engines_of(handles)) == {"rq"}


def test_a_check_that_is_made_right_after_the_failure_confirms_nothing() -> None:
    app = MemoryApp()
    app.rq.down()
    breaker = app.engines.breaker("rq")
    app.engines.failed("rq", "refused")

    app.engines.note_probe("rq", DEFAULT, app.engines.probe("rq"))
    at_once = breaker.is_confirmed
    app.clock.advance(A_LOOK)
    app.engines.note_probe("rq", DEFAULT, app.engines.probe("rq"))

    assert (at_once, breaker.is_confirmed) == (False, True)


def test_an_engine_that_delivers_to_other_hosts_keeps_what_waits_there() -> None:
    """This host may be the one that is cut off."""
    app = MemoryApp()
    handles = stranded(app, 20)
    app.engines.failed("rq", "refused")
    for handle in handles[:5]:
        assert app.claim(handle.job()) is not None
        look(app, 1)

    moved = [handle.id for handle in handles if handle.job().epoch > 1]
    assert app.engines.breaker("rq").is_confirmed
    assert not moved


def test_what_was_left_is_handed_over_once_nothing_is_claimed_there_any_more() -> None:
    app = MemoryApp()
    handles = stranded(app)
    claim = app.claim(handles[0].job())

    app.clock.advance(SIGN_OF_LIFE)
    look(app)

    assert claim is not None
    assert engines_of(handles) == ["rq", *["dramatiq"] * 4]
    assert handles[0].status() is JobState.RUNNING


def test_a_claim_that_comes_before_the_move_keeps_its_job() -> None:
    app = MemoryApp()
    handles = stranded(app)
    look(app, 1)
    seen, offer_many = handles[2].job(), app.ledger.offer_many

    def claimed_meanwhile(*given: object) -> object:
        assert app.claim(seen) is not None
        return offer_many(*given)  # type: ignore[arg-type]

    app.ledger.offer_many = claimed_meanwhile  # type: ignore[assignment, method-assign]
    look(app, 1)

    assert engines_of(handles) == ["dramatiq", "dramatiq", "rq", "dramatiq", "dramatiq"]
    assert handles[2].job().epoch == 1
    assert seen.id not in {message.job_id for message in app.offered(app.dramatiq)}


def test_two_rescuers_hand_over_each_job_once() -> None:
    app = MemoryApp()
    handles = stranded(app)
    other = Rescuer(app.ledger, app.router, app.offerer, listener=app.events)
    for _ in range(LOOKS):
        app.clock.advance(A_LOOK)
        app.workers()
        for rescuer in (app.rescuer, other):
            rescuer.tick()

    assert {handle.job().epoch for handle in handles} == {2}
    assert len(app.offered(app.dramatiq)) == len(handles)


def test_nothing_moves_where_no_other_engine_is_served() -> None:
    app = MemoryApp()
    handles = stranded(app)
    for worker in app.ledger.live_workers():
        app.ledger.retire(worker.boot_id)
    maintenance = Maintenance(app.engines, app.stager, app.rescuer)
    for _ in range(LOOKS):
        app.clock.advance(A_LOOK)
        app.worker("rq")
        maintenance.tick()

    assert set(engines_of(handles)) == {"rq"}


def test_a_job_stays_that_may_run_nowhere_else_or_has_moved_too_often() -> None:
    app = MemoryApp()
    app.workers()
    pinned, often, free = app.dispatch(engines=["rq"]), app.dispatch(), app.dispatch()
    for turn in range(MAX_HANDOFFS):
        to = "dramatiq" if turn % 2 == 0 else "rq"
        assert app.ledger.offer(often.job(), OfferPlan(to, DEFAULT.pickup)) is not None
    app.rq.down()

    look(app)

    assert engines_of([pinned, often, free]) == ["rq", "rq", "dramatiq"]


def test_what_waits_at_an_engine_that_a_person_disabled_is_merely_late() -> None:
    app = MemoryApp()
    handles = stranded(app)
    app.engines.failed("rq", "refused")
    app.ledger.disable_engine(DisabledEngine("rq", "ada", "an upgrade"))
    app.clock.advance(timedelta(seconds=2))

    look(app)

    assert app.engines.breaker("rq").is_confirmed
    assert set(engines_of(handles)) == {"rq"}


def test_a_queue_that_moves_has_its_engine_probed_by_no_look() -> None:
    app, probes = MemoryApp(), list[str]()
    app.workers()
    handles = [app.dispatch() for _ in range(10)]
    probe = app.rq.probe
    app.rq.probe = lambda *args: probes.append("rq") or probe(*args)  # type: ignore[method-assign, func-returns-value]

    for handle in handles[:5]:
        look(app, 1)
        assert app.claim(handle.job()) is not None
    moving = len(probes)
    look(app, 3)

    assert (moving, len(probes)) == (0, 2)


class Stopped(BaseException):
    """A process ends here."""


def test_what_a_rescuer_committed_and_did_not_send_is_offered_by_another() -> None:
    """It died after a part of a batch had been sent (R1)."""
    app = MemoryApp()
    handles = stranded(app)
    sent = list[Message]()

    def stop(_: object) -> None:
        sent.extend(app.offered(app.dramatiq))
        if len(sent) > 2:
            raise Stopped

    app.dramatiq.meanwhile = stop
    with pytest.raises(Stopped):
        look(app)
    app.dramatiq.meanwhile = lambda _: None
    reached = {message.job_id for message in app.offered(app.dramatiq)}
    epochs = {handle.job().epoch for handle in handles}
    for _ in reached:
        claim = app.work(app.dramatiq)
        assert claim is not None
        app.finish(claim)

    app.clock.advance(DEFAULT.pickup)
    look(app, 1)

    left = [handle for handle in handles if handle.id not in reached]
    assert epochs == {2}
    assert 0 < len(left) < len(handles)
    assert {(each.job().epoch, each.job().engine) for each in left} == {(3, "dramatiq")}
    assert {message.job_id for message in app.offered(app.dramatiq)} == {each.id for each in left}
