"""F51: the mark of a ledger on each kind of broker."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pika
import pytest

from failsoft.engines.dramatiq.adapter import DramatiqEngine, make_broker
from failsoft.engines.rq.adapter import RqEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError
from failsoft.job_engine.policies.queue import DEFAULT, QueueProfile
from failsoft.job_engine.ports.engine import Claiming, OwnedEngineAdapter, Owner
from failsoft.job_engine.records.message import KeyRing, SigningKey
from failsoft.queue import shared_client
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.fault("F51")

OURS, THEIRS = "a" * 32, "b" * 32
BOUNDED = ("shop", "shop-eu", "")

Make = Callable[[str], OwnedEngineAdapter]


def deadline() -> Deadline:
    return Deadline.after(SystemClock(), timedelta(seconds=10))


def owner(engine: OwnedEngineAdapter, ledger: str, claiming: Claiming = "if_free") -> Owner:
    return engine.owner(ledger, deadline(), claiming)


@pytest.fixture
def rabbitmq_user(rabbitmq: RabbitMQ, amqp_url: str) -> Iterator[str]:
    """A user with rights on names of one namespace only; return the URL."""
    rabbitmq.add_user("shop", "secret")
    vhost = amqp_url.rpartition("/")[2]
    mine = "^shop-.*"
    rabbitmq.permit("shop", vhost, configure=mine, write=f"{mine}|^amq.default$", read=mine)
    yield f"amqp://shop:secret@127.0.0.1:{rabbitmq.port}/{vhost}"
    rabbitmq.delete_user("shop")


@pytest.fixture
def dramatiq() -> Iterator[Callable[[str, str], DramatiqEngine]]:
    """Makes engines of Dramatiq's for a URL and a namespace."""
    made: list[DramatiqEngine] = []

    def make(url: str, namespace: str) -> DramatiqEngine:
        made.append(DramatiqEngine(make_broker(url, namespace), namespace))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=["rq", "dramatiq-valkey", "dramatiq-rabbitmq"])
def make(request: pytest.FixtureRequest, dramatiq: Callable[[str, str], DramatiqEngine]) -> Make:
    if request.param == "dramatiq-rabbitmq":
        amqp = request.getfixturevalue("amqp_url")
        return lambda namespace: dramatiq(amqp, namespace)
    url = request.getfixturevalue("valkey").url
    if request.param == "rq":
        return lambda namespace: RqEngine(shared_client(url, "owners"), namespace)
    return lambda namespace: dramatiq(url, namespace)


def test_the_first_ledger_has_the_namespace_and_the_second_has_not(make: Make) -> None:
    engine = make("shop")
    assert owner(engine, OURS, "look") is Owner.NONE

    assert owner(engine, OURS) is Owner.OURS
    assert owner(make("shop"), OURS) is Owner.OURS
    assert owner(make("shop"), THEIRS) is Owner.ANOTHER
    assert owner(engine, THEIRS, "look") is Owner.ANOTHER
    assert owner(engine, OURS, "look") is Owner.OURS


def test_namespaces_have_marks_of_their_own(make: Make) -> None:
    owners = {name: owner(make(name), ledger) for name, ledger in zip(BOUNDED, "abc", strict=True)}

    assert owners == dict.fromkeys(BOUNDED, Owner.OURS)


def test_a_ledger_that_took_anothers_place_takes_the_namespace(make: Make) -> None:
    engine = make("shop")
    owner(engine, OURS)

    assert owner(engine, THEIRS, "take_over") is Owner.OURS

    assert owner(engine, THEIRS) is Owner.OURS
    assert owner(engine, OURS) is Owner.ANOTHER
    assert owner(make("shop"), OURS, "take_over") is Owner.OURS


def test_a_queue_called_ledger_is_in_the_way_of_no_other(make: Make) -> None:
    engine, key = make("shop"), SigningKey.generate()
    message = KeyRing(lambda: [key], SystemClock(), "shop").sign("job-1", 1, "any")
    engine.offer(message, QueueProfile("ledger"), deadline())  # type: ignore[attr-defined]

    assert owner(engine, OURS) is Owner.OURS
    assert owner(engine, THEIRS) is Owner.ANOTHER


def test_the_rights_that_offers_need_are_enough_on_rabbitmq(
    rabbitmq_user: str, dramatiq: Callable[[str, str], DramatiqEngine]
) -> None:
    engine, key = dramatiq(rabbitmq_user, "shop"), SigningKey.generate()
    message = KeyRing(lambda: [key], SystemClock(), "shop").sign("job-1", 1, "dramatiq")
    engine.offer(message, DEFAULT, deadline())

    assert owner(engine, OURS) is Owner.OURS
    assert owner(engine, THEIRS) is Owner.ANOTHER
    # And the connection goes on after a refusal.
    engine.offer(message, DEFAULT, deadline())


def test_without_any_right_the_answer_is_that_it_is_unknown(
    rabbitmq_user: str, dramatiq: Callable[[str, str], DramatiqEngine]
) -> None:
    engine = dramatiq(rabbitmq_user, "other")

    assert owner(engine, OURS) is Owner.UNKNOWN
    assert owner(engine, OURS, "take_over") is Owner.UNKNOWN


def test_a_policy_of_the_operators_is_no_other_ledger(
    rabbitmq: RabbitMQ, amqp_url: str, dramatiq: Callable[[str, str], DramatiqEngine]
) -> None:
    vhost = amqp_url.rpartition("/")[2]
    limits = '{"max-length": 100000, "max-length-bytes": 5000, "overflow": "reject-publish"}'
    rabbitmq.set_policy(vhost, "limits", limits)
    engine = dramatiq(amqp_url, "shop")

    assert [owner(engine, OURS), owner(engine, OURS)] == [Owner.OURS, Owner.OURS]
    assert owner(engine, THEIRS) is Owner.ANOTHER


def test_a_queue_of_that_name_that_is_no_mark_is_no_other_ledger(
    amqp_url: str, dramatiq: Callable[[str, str], DramatiqEngine]
) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_declare("shop-.ledger", durable=False)
    engine = dramatiq(amqp_url, "shop")

    assert owner(engine, OURS) is Owner.UNKNOWN


def test_the_rights_that_offers_need_are_enough_on_redis(valkey: Valkey) -> None:
    rules = ("on", ">secret", "~rq:*", "~shop*", "+@all", "-@dangerous", "-@admin")
    valkey.command("ACL", "SETUSER", "shop", *rules)
    url = valkey.url.replace("redis://", "redis://shop:secret@")

    assert owner(RqEngine(shared_client(url, "owners"), "shop"), OURS) is Owner.OURS
    assert owner(RqEngine(shared_client(url, "owners"), "shop"), THEIRS) is Owner.ANOTHER
    assert owner(RqEngine(shared_client(url, "owners"), "other"), OURS) is Owner.UNKNOWN


def test_a_broker_that_is_away_says_nothing(valkey: Valkey) -> None:
    engine = RqEngine(shared_client(valkey.url, "owners"), "shop")
    valkey.stop()

    with pytest.raises(EngineError):
        owner(engine, OURS)


def test_the_mark_does_not_pass_away(valkey: Valkey) -> None:
    owner(RqEngine(shared_client(valkey.url, "owners"), "shop"), OURS)

    assert valkey.command("TTL", "shop:ledger") == -1
