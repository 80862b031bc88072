"""One look a queue: what only waits behind others is not looked into, and what is lost is."""

from datetime import timedelta

from failsoft.dispatcher import JobHandle
from failsoft.dispatcher.maintenance.late_offers import LATE, PACED
from failsoft.job_engine.policies.queue import DEFAULT
from tests.unit.support.memory_app import MemoryApp
from tests.unit.support.missed_offers import PICKUP, lose_the_offer, miss_the_pickup

A_LOOK = timedelta(seconds=1)


def late(count: int) -> tuple[MemoryApp, list[JobHandle[object]], list[str]]:
    """Return jobs whose deadline has passed, and the ids that are looked up at their engine."""
    app, looked = MemoryApp(), list[str]()
    app.workers()
    handles = [app.dispatch() for _ in range(count)]
    holds = app.rq.holds

    def look_up(*given: object) -> bool | None:
        looked.append(given[0].job_id)  # type: ignore[attr-defined]
        return holds(*given)  # type: ignore[arg-type]

    app.rq.holds = look_up  # type: ignore[method-assign]
    app.clock.advance(PICKUP)
    return app, handles, looked


def look(app: MemoryApp) -> None:
    app.clock.advance(A_LOOK)
    app.workers()
    app.rescuer.tick()


def work(app: MemoryApp) -> None:
    """Let a worker take the next message of RQ and finish its job."""
    claim = app.work(app.rq)
    assert claim is not None
    app.finish(claim)


def test_only_the_first_of_a_queue_that_stands_still_is_looked_into() -> None:
    app, handles, looked = late(50)

    look(app)

    assert looked == [handles[0].id]
    assert [handle.job().pickups_missed for handle in handles] == [1, *[0] * 49]
    assert {handle.job().epoch for handle in handles} == {1}


def test_a_queue_that_stands_still_is_looked_at_once_in_a_pickup_deadline() -> None:
    app, _, looked = late(50)

    for _ in range(int(PICKUP / A_LOOK)):
        look(app)
    within = len(looked)
    look(app)

    assert (within, len(looked)) == (1, 2)


def test_nothing_is_looked_into_while_the_first_of_a_queue_are_claimed() -> None:
    app, handles, looked = late(50)
    look(app)
    del looked[:]

    for _ in range(15):
        work(app)
        work(app)
        look(app)

    assert not looked
    assert {handle.job().epoch for handle in handles} == {1}


def test_an_offer_that_later_ones_have_overtaken_at_two_looks_is_looked_into() -> None:
    app, handles, looked = late(50)
    look(app)
    del looked[:]
    lost = handles[5]
    messages = app.offered(app.rq)
    app.rq.withdraw(messages[5], DEFAULT)

    for _ in range(2):
        for _ in range(4):
            work(app)
        look(app)
    before = lost.job().epoch
    work(app)
    look(app)

    assert looked == [lost.id]
    assert (before, lost.job().epoch, lost.job().engine) == (1, 2, "rq")
    assert {handle.job().epoch for handle in handles if handle is not lost} == {1}


def test_offers_that_are_lost_at_the_head_of_a_queue_are_made_again_in_one_look() -> None:
    app, handles, _ = late(10)
    for message in app.offered(app.rq)[:4]:
        app.rq.withdraw(message, DEFAULT)

    look(app)

    assert [handle.job().epoch for handle in handles] == [*[2] * 4, *[1] * 6]


def test_a_long_queue_hides_no_lost_offer_of_another() -> None:
    app, _, _ = late(300)
    look(app)
    other = app.dispatch(engines=["dramatiq"])
    app.dramatiq.drop_messages()

    app.clock.advance(PICKUP)
    look(app)

    assert (other.job().epoch, other.job().engine) == (2, "dramatiq")


def test_the_history_says_whether_the_rate_was_limited() -> None:
    app = MemoryApp()
    handle = app.dispatch()

    lose_the_offer(app)
    again = app.ledger.events(handle.id)[-1].detail["reason"]
    lose_the_offer(app)
    moved = app.ledger.events(handle.id)[-1].detail["reason"]

    assert (again, moved) == (LATE, PACED)


def test_a_queue_is_looked_into_again_after_it_was_empty() -> None:
    app, handles, looked = late(1)
    look(app)
    work(app)
    second = app.dispatch()

    miss_the_pickup(app)

    assert looked == [handles[0].id, second.id]
