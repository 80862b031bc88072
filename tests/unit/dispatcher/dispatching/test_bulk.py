"""`dispatch_many`: a transaction a chunk, a pipeline an engine, an outcome an item."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from failsoft.dispatcher import DispatchOutcome, DispatchRequest, Many
from failsoft.dispatcher.offering.bounded_caller import DirectCaller
from failsoft.dispatcher.offering.engines import Engine
from failsoft.job_engine import JobState, QueueProfile, Unique
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    EngineError,
    EngineUnavailableError,
    LedgerUnavailableError,
    OfferRefusedError,
    OptionInvalidError,
    PayloadInvalidError,
)
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.message import Message
from failsoft.testing import MemoryEngine
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

MINUTE = timedelta(minutes=1)


class Pipelined(MemoryEngine):
    """Takes many offers at once, and refuses those that the test names."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.pipelines: list[int] = []
        self.seconds: list[float] = []
        self.refused: set[int] = set()

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        self.pipelines.append(len(messages))
        self.seconds.append(deadline.remaining())
        found: list[EngineError | None] = []
        for place, message in enumerate(messages):
            if place in self.refused:
                found.append(OfferRefusedError("full"))
            else:
                self.offer(message, queue, deadline)
                found.append(None)
        return found


class Hall(MemoryApp):
    """An app whose primary takes many offers at once."""

    def __init__(self) -> None:
        super().__init__()
        self.bulk = Pipelined("rq")
        self.engines._engines["rq"] = Engine(self.bulk, DirectCaller())
        self.workers()

    def many(self, items: Sequence[Any], **options: Any) -> list[DispatchOutcome[Any]]:
        how = options.pop("how", Many())
        return self.dispatcher.dispatch_many(WELCOME, items, how=how, **options)


@pytest.fixture
def hall() -> Hall:
    return Hall()


def mails(count: int) -> list[Mail]:
    return [Mail(user_id=number) for number in range(count)]


def test_every_item_becomes_a_job_in_its_order(hall: Hall) -> None:
    outcomes = hall.many(mails(5), how=Many(chunk=2))

    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3, 4]
    jobs = [outcome.handle.job() for outcome in outcomes if outcome.handle]
    assert [job.payload for job in jobs] == [f'{{"user_id":{n}}}' for n in range(5)]
    assert hall.bulk.pipelines == [2, 2, 1]
    assert [m.job_id for m in hall.bulk.messages(DEFAULT)] == [job.id for job in jobs]
    assert hall.events.kinds.count("job.dispatch") == 5


def test_every_item_keeps_its_own_options(hall: Hall) -> None:
    items = [
        DispatchRequest(Mail(user_id=1), {"delay": MINUTE, "priority": 7}),
        DispatchRequest(Mail(user_id=2), {"engines": ("dramatiq",)}),
        Mail(user_id=3),
    ]

    outcomes = hall.many(items, tags=("many",), priority=1)

    waits, other, plain = [o.handle.job() for o in outcomes if o.handle]
    assert (waits.state, waits.priority, waits.tags) == (JobState.SCHEDULED, 7, ("many",))
    assert (other.engine, other.priority) == ("dramatiq", 1)
    assert (plain.engine, plain.state) == ("rq", JobState.OFFERED)
    assert len(hall.offered(hall.dramatiq)) == 1


def test_what_is_wrong_sinks_nothing_else(hall: Hall) -> None:
    items = [Mail(), "no mail", DispatchRequest(Mail(), {"delay": -MINUTE}), Mail()]

    outcomes = hall.many(items)

    assert [outcome.handle is not None for outcome in outcomes] == [True, False, False, True]
    assert isinstance(outcomes[1].error, PayloadInvalidError)
    assert isinstance(outcomes[2].error, OptionInvalidError)
    assert hall.ledger.counts() == {JobState.OFFERED: 2}


def test_with_raise_one_wrong_item_stores_nothing(hall: Hall) -> None:
    with pytest.raises(PayloadInvalidError):
        hall.many([Mail(), cast("Mail", "no mail")], how=Many(on_error="raise", chunk=1))

    assert not hall.ledger.counts()


def test_keys_lead_to_one_job_also_within_a_chunk(hall: Hall) -> None:
    keyed = DispatchRequest(Mail(), {"idempotency_key": "k"})
    picky = DispatchRequest(Mail(), {"idempotency_key": "k", "on_duplicate": "raise"})

    first, second, third = hall.many([keyed, keyed, picky])

    assert first.handle is not None
    assert second.handle is not None
    assert (first.handle.id, first.handle.disposition) == (second.handle.id, "created")
    assert second.handle.disposition == "existing"
    assert isinstance(third.error, DuplicateDispatchError)
    unique = Unique(by=("user_id",))
    dispositions = [
        o.handle and o.handle.disposition for o in hall.many(mails(2) * 2, unique=unique)
    ]
    assert dispositions == ["created", "created", "existing", "existing"]


def test_what_an_engine_refuses_goes_to_the_next(hall: Hall) -> None:
    hall.bulk.refused = {1}

    outcomes = hall.many(mails(3))

    engines = [outcome.handle.job().engine for outcome in outcomes if outcome.handle]
    assert engines == ["rq", "dramatiq", "rq"]
    assert len(hall.offered(hall.dramatiq)) == 1
    assert hall.tries(outcomes[1].handle.id if outcomes[1].handle else "") == [
        ("rq", 1, "offer", "refused"),
        ("dramatiq", 2, "offer", "accepted"),
    ]


def test_the_offers_of_a_pipeline_are_made_within_the_budget_of_its_jobs(hall: Hall) -> None:
    longer = DispatchRequest(Mail(user_id=3), {"budget": timedelta(seconds=8)})

    hall.many([*mails(2), longer], budget=timedelta(seconds=4))

    # The fallback gets its share of the time, and each job adds 10 ms.
    assert hall.bulk.pipelines == [2, 1]
    assert hall.bulk.seconds == pytest.approx([4.02 / 2, 8.01 / 2])


def test_a_job_that_another_engine_gets_keeps_its_pickup_deadline(hall: Hall) -> None:
    hall.bulk.refused = {0}

    (outcome,) = hall.many(mails(1), pickup=MINUTE)

    assert outcome.handle is not None
    job = outcome.handle.job()
    assert (job.engine, job.pickup_by) == ("dramatiq", hall.clock.now() + MINUTE)


def test_an_engine_that_is_away_gets_one_offer(hall: Hall) -> None:
    hall.bulk.down()
    hall.dramatiq.down()

    outcomes = hall.many(mails(3))

    assert [o.handle.status() for o in outcomes if o.handle] == [JobState.SCHEDULED] * 3
    assert hall.bulk.pipelines == [3]
    reasons = [tried.reason for o in outcomes if o.handle for tried in o.handle.tries()]
    assert any("got no offer" in reason for reason in reasons)


def test_an_adapter_that_breaks_its_contract_loses_no_job(hall: Hall) -> None:
    hall.bulk.fail_next(RuntimeError("boom"))

    outcomes = hall.many(mails(2))

    assert [o.handle.job().engine for o in outcomes if o.handle] == ["dramatiq"] * 2


def test_a_ledger_that_is_away_is_an_error_of_each_item_of_the_chunk(hall: Hall) -> None:
    hall.many(mails(1))  # the live workers are known from here on
    hall.ledger.fail_next()

    outcomes = hall.many(mails(3), how=Many(chunk=2))

    assert [isinstance(o.error, LedgerUnavailableError) for o in outcomes] == [True, True, False]


def test_what_a_ledger_leaves_undone_half_way_is_swept_up(hall: Hall) -> None:
    hall.bulk.fail_next(EngineUnavailableError("away"))
    offer = hall.ledger.offer

    def lost(*args: Any) -> Any:
        hall.ledger.offer = offer  # type: ignore[method-assign]  # once
        raise LedgerUnavailableError

    hall.ledger.offer = lost  # type: ignore[method-assign]  # once
    outcomes = hall.many(mails(2))
    hall.clock.advance(MINUTE)
    hall.rescuer.tick()

    jobs = [o.handle.job() for o in outcomes if o.handle]
    assert [(job.state, job.epoch) for job in jobs] == [(JobState.OFFERED, 2)] * 2
    assert len(hall.offered(hall.dramatiq)) == 2


def test_progress_is_reported_after_each_chunk(hall: Hall) -> None:
    done: list[int] = []

    hall.many(mails(5), how=Many(chunk=2, progress=done.append))

    assert done == [2, 4, 5]


def test_nothing_at_all_is_no_error(hall: Hall) -> None:
    assert hall.many([]) == []


@pytest.mark.parametrize("wrong", [{"chunk": 0}, {"on_error": "ignore"}])
def test_bad_ways_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionInvalidError):
        Many(**wrong)


def test_many_dispatches_cannot_wait_for_pickups(hall: Hall) -> None:
    with pytest.raises(OptionInvalidError, match="confirm"):
        hall.many(mails(1), confirm="pickup")
