"""The relay publishes in order by key, one relay at a time, and notes what the broker has."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from failsoft.dispatcher.plugins.link import Link
from failsoft.dispatcher.plugins.outbox_relay import RENEW_SECONDS, TURN_SECONDS, OutboxRelay
from failsoft.job_engine.errors import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.job_engine.outbox import OutboxEntry, OutboxLoad, OutboxRecord
from failsoft.testing import FrozenClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Outbox:
    """`OutboxLedger` in memory; a refused record rests until `rest_is_over` is called."""

    def __init__(self, *keys: str | None) -> None:
        self.entries = [
            OutboxEntry(
                f"id-{seq}",
                seq,
                OutboxRecord("stream", "orders", b"", None if key is None else key.encode()),
                "job",
                "emit",
                NOW,
            )
            for seq, key in enumerate(keys)
        ]
        self.resting: set[int] = set()
        self.pauses: list[timedelta] = []
        self.turn: str | None = None
        self.writes = 0

    def outbox_waiting(self, engine: str, limit: int) -> Sequence[OutboxEntry]:
        found: list[OutboxEntry] = []
        held = set()
        for each in self.entries:
            lane = each.record.key
            if each.seq in self.resting:
                held.add(lane)
            elif lane is None or lane not in held:
                found.append(each)
        return found[:limit]

    def outbox_turn(self, engine: str) -> str | None:
        return self.turn

    def take_outbox_turn(self, engine: str, seen: str | None, mine: str) -> bool:
        self.writes += 1
        if self.turn != seen:
            return False
        self.turn = mine
        return True

    def outbox_published(self, seqs: Sequence[int]) -> None:
        self.entries = [each for each in self.entries if each.seq not in seqs]

    def outbox_refused(self, seq: int, error: str, pause: timedelta) -> None:
        self.resting.add(seq)
        self.pauses.append(pause)
        self.entries = [
            replace(each, refusals=each.refusals + 1) if each.seq == seq else each
            for each in self.entries
        ]

    def outbox_load(self) -> Sequence[OutboxLoad]:
        raise NotImplementedError


class Broker:
    """Notes the waves that it is given, and answers with the errors of some records."""

    def __init__(self) -> None:
        self.waves: list[list[int]] = []
        self.errors: dict[int, EngineError] = {}
        self.meanwhile: Callable[[], object] = lambda: None

    def publish(self, entries: Sequence[OutboxEntry]) -> list[EngineError | None]:
        self.waves.append([each.seq for each in entries])
        self.meanwhile()
        return [self.errors.get(each.seq) for each in entries]


class Bench:
    def __init__(self, *keys: str | None) -> None:
        self.outbox = Outbox(*keys)
        self.broker = Broker()
        self.clock = FrozenClock()

    def relay(self, holder: str = "a") -> OutboxRelay:
        return OutboxRelay(
            self.outbox,
            "stream",
            holder,
            self.broker.publish,
            link=Link("the broker"),
            clock=self.clock,
        )

    def advance(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


def test_records_of_one_key_are_on_their_way_one_after_the_other() -> None:
    bench = Bench("k", "k", "o", None, None, "k")

    assert bench.relay().tick() == 6
    assert bench.broker.waves == [[0, 2, 3, 4], [1], [5]]
    assert bench.outbox.entries == []


def test_an_idle_relay_writes_nothing() -> None:
    bench = Bench()
    relay = bench.relay()

    for _ in range(100):
        assert relay.tick() == 0
        bench.advance(1)

    assert bench.outbox.writes == 0


def test_a_record_that_is_refused_is_followed_by_none_of_its_key() -> None:
    bench = Bench("k", "k", "o", "o")
    bench.broker.errors = {0: OfferRefusedError("too large")}

    assert bench.relay().tick() == 2
    assert bench.broker.waves == [[0, 2], [3]]
    assert [each.seq for each in bench.outbox.entries] == [0, 1]
    assert bench.outbox.pauses == [timedelta(seconds=1)]


def test_pauses_of_a_record_that_goes_on_being_refused_grow_to_five_minutes() -> None:
    bench = Bench("k")
    bench.broker.errors = {0: OfferRefusedError("no such topic")}
    relay = bench.relay()

    for _ in range(12):
        bench.outbox.resting.clear()
        relay.tick()

    seconds = [each.total_seconds() for each in bench.outbox.pauses]
    assert seconds == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailableError("away"),
        OfferUncertainError("timed out"),
        EngineRefusedError("login"),
    ],
)
def test_where_the_broker_is_away_the_round_ends_and_what_it_has_is_noted(
    error: EngineError,
) -> None:
    bench = Bench("k", "o", "o", "k")
    bench.broker.errors = {0: error}
    relay = bench.relay()

    with pytest.raises(type(error)):
        relay.tick()

    assert bench.broker.waves == [[0, 1]]
    assert [each.seq for each in bench.outbox.entries] == [0, 2, 3]
    assert bench.outbox.pauses == []
    bench.broker.errors = {}
    assert relay.tick() == 3
    assert bench.broker.waves == [[0, 1], [0, 2], [3]]


def test_one_relay_publishes_at_a_time() -> None:
    bench = Bench("k")
    a, b = bench.relay("a"), bench.relay("b")
    assert a.tick() == 1

    bench.outbox.entries = Outbox("k", "k").entries
    assert b.tick() == 0
    bench.advance(TURN_SECONDS - RENEW_SECONDS)
    assert b.tick() == 0
    assert a.tick() == 2


def test_a_relay_that_stands_still_is_replaced() -> None:
    bench = Bench("k")
    a, b = bench.relay("a"), bench.relay("b")
    a.tick()
    bench.outbox.entries = Outbox("k").entries
    assert b.tick() == 0

    bench.advance(TURN_SECONDS)

    assert b.tick() == 1
    bench.outbox.entries = Outbox("k").entries
    assert a.tick() == 0


def test_a_relay_that_is_gone_is_known_to_be_when_something_waits() -> None:
    bench = Bench("k")
    bench.relay("a").tick()
    b = bench.relay("b")
    b.tick()
    bench.advance(RENEW_SECONDS)
    b.tick()
    bench.advance(TURN_SECONDS)

    bench.outbox.entries = Outbox("k").entries

    assert b.tick() == 1


def test_a_relay_that_was_frozen_in_a_round_sends_no_further_wave() -> None:
    bench = Bench("k", "k", "k")
    a, b = bench.relay("a"), bench.relay("b")

    def frozen() -> None:
        bench.broker.meanwhile = lambda: None
        b.tick()
        bench.advance(TURN_SECONDS)
        assert b.tick() == 3

    bench.broker.meanwhile = frozen
    a.tick()

    assert bench.broker.waves == [[0], [0], [1], [2]]


def test_a_relay_that_stops_lets_another_have_the_turn_at_once() -> None:
    bench = Bench("k")
    stopping = threading.Event()
    bench.broker.meanwhile = stopping.set
    bench.relay("a").run(stopping)
    bench.outbox.entries = Outbox("k").entries

    assert bench.relay("b").tick() == 1
