"""Many offers to a Redis, by RQ and by Dramatiq: how often it is spoken to, and what is known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from redis import Connection, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from failsoft.engines.dramatiq.adapter import DramatiqEngine
from failsoft.engines.dramatiq.messages import pack
from failsoft.engines.dramatiq.redis import SafeRedisBroker
from failsoft.engines.rq.adapter import RqEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError, OfferRefusedError, OfferUncertainError
from failsoft.testing.engine_suite.bench import new_message
from tests.contract.engines.engine_setups import NAMESPACE, QUEUE
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.proxy import Direction, TcpProxy
from tests.servers.valkey import Valkey

MANY = 200
#: What the server answers before the first offer's reply: that it knows the script.
KNOWS_IT = len(b"*1\r\n:1\r\n")


class CountedConnection(Connection):
    """A connection that notes its round trips: what it sends after it has read an answer."""

    def __init__(self, *, sent: list[object], **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # redis-py's
        self._sent = sent
        self._has_read = True

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._has_read:
            self._sent.append(command)
        self._has_read = False
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        self._has_read = True
        return super().read_response(*args, **options)  # type: ignore[no-untyped-call]


@dataclass
class Offering:
    """An engine, and what it sends."""

    engine: RqEngine | DramatiqEngine
    sent: list[object] = field(default_factory=list)

    def offer(self, count: int) -> list[EngineError | None]:
        deadline = Deadline.after(SystemClock(), timedelta(seconds=10))
        messages = [new_message() for _ in range(count)]
        return list(self.engine.offer_many(messages, QUEUE, deadline))

    def round_trips(self, count: int) -> int:
        self.sent.clear()
        assert self.offer(count) == [None] * count
        return len(self.sent)

    def backlog(self) -> int | None:
        return self.engine.probe(QUEUE, Deadline.after(SystemClock(), timedelta(1))).backlog


Make = Callable[[int], Offering]


@pytest.fixture(params=["rq", "dramatiq"])
def make(request: pytest.FixtureRequest) -> Make:
    def offering(port: int) -> Offering:
        sent = list[object]()
        client = counted_client(port, sent)
        if request.param == "rq":
            return Offering(RqEngine(client, NAMESPACE), sent)
        return Offering(DramatiqEngine(SafeRedisBroker(client, NAMESPACE), NAMESPACE), sent)

    return offering


@pytest.fixture
def offering(make: Make, valkey: Valkey) -> Offering:
    return make(valkey.port)


@pytest.fixture
def broker(valkey: Valkey) -> SafeRedisBroker:
    return SafeRedisBroker(counted_client(valkey.port, []), NAMESPACE)


def counted_client(port: int, sent: list[object]) -> Redis:
    retry = Retry(NoBackoff(), 0)
    return Redis(
        connection_pool=ConnectionPool(
            CountedConnection, port=port, sent=sent, socket_timeout=1, retry=retry
        )
    )


def test_many_offers_take_as_many_round_trips_as_one(offering: Offering) -> None:
    offering.offer(1)  # the server learns the script

    # Dramatiq's broker asks first whether the server knows the script.
    round_trips = 1 if isinstance(offering.engine, RqEngine) else 2
    assert offering.round_trips(1) == offering.round_trips(MANY) == round_trips
    assert offering.backlog() == 2 + MANY


def test_a_server_that_has_forgotten_the_script_is_taught_again(
    offering: Offering, valkey: Valkey
) -> None:
    offering.offer(1)
    valkey.command("SCRIPT", "FLUSH")

    # RQ's first offer brings the script along.
    assert offering.round_trips(MANY) == (1 if isinstance(offering.engine, RqEngine) else 3)
    assert offering.backlog() == 1 + MANY


def test_a_server_that_refuses_says_so_of_each(offering: Offering, valkey: Valkey) -> None:
    offering.offer(1)
    valkey.out_of_memory(on=True)

    answers = offering.offer(MANY)

    assert [isinstance(answer, OfferRefusedError) for answer in answers] == [True] * MANY
    valkey.out_of_memory(on=False)
    assert offering.backlog() == 1


@pytest.mark.parametrize("direction", Direction)
def test_a_connection_that_is_lost_half_way_leaves_all_uncertain(
    make: Make, valkey: Valkey, proxy_to: Callable[[int], TcpProxy], direction: Direction
) -> None:
    proxy = proxy_to(valkey.port)
    offering = make(proxy.port)
    offering.offer(1)
    half_way = {Direction.TO_CLIENT: KNOWS_IT + 10, Direction.TO_SERVER: 2000}
    proxy.cut_after(half_way[direction], direction)

    with pytest.raises(OfferUncertainError):
        offering.offer(10)

    if direction is Direction.TO_CLIENT:
        # The server has the first at least, and no caller was answered.
        backlog = make(valkey.port).backlog
        wait_until(lambda: (backlog() or 0) > 1, PATIENCE, "an offer is stored")


def test_what_is_refused_in_the_middle_is_refused_alone(
    broker: SafeRedisBroker, valkey: Valkey
) -> None:
    valkey.command("SET", f"{NAMESPACE}:taken.msgs", "by a stranger")
    queues = ("bench", "taken", "bench")

    answers = broker.enqueue_many([pack(new_message(), queue) for queue in queues])

    assert [type(answer) for answer in answers] == [type(None), OfferRefusedError, type(None)]
    assert broker.probe("bench").backlog == 2
