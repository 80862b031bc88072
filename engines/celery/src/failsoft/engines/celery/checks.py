"""Is Celery's broker fit to carry offers?"""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from failsoft.engine_api import (
    DEFAULT,
    Deadline,
    EngineError,
    EngineSite,
    Finding,
    SystemClock,
    fine,
    probed_twice,
    redacted_url,
    unreachable,
    warning,
)
from failsoft.engines.celery.adapter import CeleryEngine
from failsoft.engines.celery.rabbitmq.publisher import RabbitmqPublisher
from failsoft.engines.celery.settings import CelerySettings
from failsoft.queue.redis_checks import look_at_redis


def look_at_broker(site: EngineSite[CelerySettings]) -> Iterator[Finding]:
    """Look at the server, and write what an offer writes."""
    engine = CeleryEngine(site, "doctor", site.answer_within)
    try:
        if site.settings.is_rabbitmq:
            yield from _look_at_rabbitmq(site, engine)
        else:
            yield from look_at_redis(
                site.name,
                site.settings.broker_url,
                site.variables["broker_url"],
                lambda: engine.probe(DEFAULT, _deadline(site)),
                within=site.answer_within,
            )
    finally:
        engine.disconnect()


def _look_at_rabbitmq(site: EngineSite[CelerySettings], engine: CeleryEngine) -> Iterator[Finding]:
    shown = ";".join(map(redacted_url, site.settings.nodes))
    for url in site.settings.nodes:
        yield from _login(site.name, url)
    health = probed_twice(lambda: engine.probe(DEFAULT, _deadline(site)))
    if not health.healthy:
        remedy = f"start RabbitMQ, or correct {site.variables['broker_url']}"
        yield unreachable(site.name, f"{shown}: {health.detail}", remedy)
        return
    yield fine(site.name, f"RabbitMQ, {shown}, {health.detail}")
    yield from _arguments(site)


def _login(name: str, url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if _is_loopback(parts.hostname or "localhost"):
        return
    guest, plain = (parts.username or "guest") == "guest", parts.scheme == "amqp"
    words = [word for word, there in (("user guest", guest), ("no TLS", plain)) if there]
    if words:
        remedy = "make a user of its own with a password, and use amqps://"
        found = f"{' and '.join(words)} towards {parts.hostname}"
        yield warning(f"{name} login", found, remedy)
    else:
        yield fine(f"{name} login", f"user {parts.username}, TLS")


def _arguments(site: EngineSite[CelerySettings]) -> Iterator[Finding]:
    check, queue = f"{site.name} queue", site.queue_name(DEFAULT)
    publisher = RabbitmqPublisher(site.settings)
    try:
        found = publisher.differences(queue, _deadline(site))
    except EngineError as error:
        yield warning(check, f"{queue}: {error}", "look at the server's log")
        return
    finally:
        publisher.disconnect()
    if found is None:
        yield fine(check, f"{queue} is there; this user may declare none")
    elif found:
        remedy = "works; what each argument does to messages stands in docs/how-to/rabbitmq.md"
        yield warning(check, f"{queue} has other arguments: {found}", remedy)
    else:
        yield fine(check, f"{queue} is as Failsoft declares it")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _deadline(site: EngineSite[CelerySettings]) -> Deadline:
    return Deadline.after(SystemClock(), site.answer_within)
