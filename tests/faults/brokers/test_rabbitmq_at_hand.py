"""F05 and F11 where an offer to RabbitMQ is made in the caller's thread, on a link at hand."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineUnavailableError, OfferUncertainError
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.testing.engine_suite.bench import new_message
from tests.faults.support import through_proxy
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.proxy import TcpProxy
from tests.servers.rabbitmq import RabbitMQ
from tests.unit.support.attempts import exit_code_of_a_child

#: Long enough for a confirm, and short beside pika's own time-outs.
SOON, THREADS, EACH = timedelta(seconds=0.5), 8, 20


@pytest.fixture
def engine(
    amqp_url: str, rabbitmq: RabbitMQ, proxy_to_rabbitmq: TcpProxy
) -> Iterator[DramatiqEngine]:
    """An engine that has a link at hand."""
    engine = DramatiqEngine(make_broker(through_proxy(amqp_url, rabbitmq.port, proxy_to_rabbitmq)))
    offer(engine)
    yield engine
    proxy_to_rabbitmq.heal()
    engine.close()


def within(span: timedelta) -> Deadline:
    return Deadline.after(SystemClock(), span)


def offer(engine: DramatiqEngine) -> None:
    engine.offer(new_message(), DEFAULT, within(timedelta(seconds=PATIENCE)))


def at_once(engine: DramatiqEngine, span: timedelta = timedelta(seconds=PATIENCE)) -> bool:
    return engine.offer_at_once(new_message(), DEFAULT, within(span))


def backlog(engine: DramatiqEngine) -> int | None:
    return engine.probe(DEFAULT, within(timedelta(seconds=PATIENCE))).backlog


def test_an_offer_leaves_a_link_on_which_the_next_needs_no_thread(engine: DramatiqEngine) -> None:
    assert at_once(engine)
    assert at_once(engine)

    assert backlog(engine) == 3


@pytest.mark.fault("F05")
def test_a_rabbitmq_that_is_silent_costs_the_deadline_and_the_link(
    engine: DramatiqEngine, proxy_to_rabbitmq: TcpProxy
) -> None:
    proxy_to_rabbitmq.blackhole()

    with pytest.raises(OfferUncertainError):
        at_once(engine, SOON)

    assert not at_once(engine)
    proxy_to_rabbitmq.heal()
    offer(engine)
    assert at_once(engine)


@pytest.mark.fault("F05")
def test_a_confirm_that_is_lost_is_no_confirm(
    engine: DramatiqEngine, proxy_to_rabbitmq: TcpProxy
) -> None:
    proxy_to_rabbitmq.swallow_replies()

    with pytest.raises(OfferUncertainError):
        at_once(engine, SOON)

    assert not at_once(engine)


@pytest.mark.fault("F11")
def test_a_memory_alarm_costs_the_deadline(engine: DramatiqEngine, rabbitmq: RabbitMQ) -> None:
    rabbitmq.memory_alarm(on=True)
    try:
        with pytest.raises(OfferUncertainError):
            at_once(engine, SOON)
    finally:
        rabbitmq.memory_alarm(on=False)

    offer(engine)
    assert at_once(engine)


def test_a_connection_that_rabbitmq_closed_meanwhile_gets_no_offer(
    engine: DramatiqEngine, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.close_all_connections()
    wait_until(lambda: not at_once(engine), PATIENCE, "the end of the connection has arrived")
    before = backlog(engine)

    offer(engine)
    assert at_once(engine)

    assert before is not None
    assert backlog(engine) == before + 2


def test_time_that_is_up_sends_nothing(engine: DramatiqEngine) -> None:
    with pytest.raises(EngineUnavailableError):
        at_once(engine, timedelta())

    assert backlog(engine) == 1


def test_a_queue_that_was_deleted_is_declared_by_the_offer_that_follows(
    engine: DramatiqEngine, rabbitmq: RabbitMQ, amqp_url: str
) -> None:
    rabbitmq.delete_queue("failsoft-default", vhost=amqp_url.rpartition("/")[2])

    assert not at_once(engine)
    offer(engine)

    assert at_once(engine)
    assert backlog(engine) == 2


def test_a_forked_child_does_not_use_its_parents_link(engine: DramatiqEngine) -> None:
    assert exit_code_of_a_child(lambda: int(at_once(engine))) == 0

    assert at_once(engine)
    assert backlog(engine) == 2


def test_threads_that_offer_at_the_same_time_share_one_link(engine: DramatiqEngine) -> None:
    taken, others = list[bool](), threading.Lock()

    def work() -> None:
        for _ in range(EACH):
            was_taken = at_once(engine)
            with others:
                taken.append(was_taken)
                if not was_taken:
                    # As the one thread does that offers what finds no link.
                    offer(engine)
        engine.disconnect()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == THREADS * EACH
    assert any(taken)
    assert backlog(engine) == 1 + THREADS * EACH
