"""Can the engines take offers?"""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from failsoft.dispatcher.engines.config import EngineConfig, build_engines
from failsoft.engines.dramatiq.adapter import make_broker
from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from failsoft.engines.rq.adapter import RqEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.values.redaction import redacted_url
from failsoft.queue import queue_name, shared_client
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.finding import (
    Check,
    Finding,
    failure,
    fine,
    unreachable,
    warning,
)
from failsoft.queue.redis_checks import look_at_redis, probed_twice

#: How long RabbitMQ may hold a publisher back before the look gives up, in seconds.
BLOCKED_SECONDS = 1
PROBE_BUDGET = timedelta(seconds=1)


def engine_checks(settings: Settings) -> list[Check]:
    """Return what there is to look at for each engine that the settings name."""
    known = {"rq": _rq(settings), "dramatiq": _dramatiq(settings)}
    return [known.get(name) or _other(settings, name) for name in settings.engines]


def _rq(settings: Settings) -> Check:
    def look() -> Iterator[Finding]:
        if not settings.use_rq:
            yield fine("rq", "switched off by USE_RQ")
            return
        url = settings.primary_url
        engine = RqEngine(shared_client(url, "doctor"), settings.namespace)
        yield from look_at_redis("rq", url, "REDIS_URL", lambda: engine.probe(DEFAULT, _deadline()))

    return Check("rq", look, "look after RQ's Redis, or correct REDIS_URL")


def _dramatiq(settings: Settings) -> Check:
    def look() -> Iterator[Finding]:
        broker = make_broker(settings.amqp_url, settings.namespace)
        name = queue_name(DEFAULT, settings.namespace)
        if isinstance(broker, SafeRabbitmqBroker):
            with closing(broker):
                yield from _rabbitmq(broker, settings.amqp_url, name)
            return
        url = settings.amqp_url
        yield from look_at_redis("dramatiq", url, "AMQP_URL", lambda: broker.probe(name))
        if settings.use_rq and _server(url) == _server(settings.primary_url):
            remedy = "give Dramatiq a server of its own, or there is nothing to fall back on"
            yield warning("dramatiq server", "is RQ's, too", remedy)

    return Check("dramatiq", look, "look after Dramatiq's broker, or correct AMQP_URL")


def _other(settings: Settings, name: str) -> Check:
    def look() -> Iterator[Finding]:
        config = EngineConfig(settings.primary_url, settings.amqp_url, settings.namespace)
        adapter = build_engines((name,), config)[name].adapter
        health = probed_twice(lambda: adapter.probe(DEFAULT, _deadline()))
        yield fine(name, health.detail) if health.healthy else unreachable(name, health.detail, "")

    return Check(name, look)


def _rabbitmq(broker: SafeRabbitmqBroker, url: str, name: str) -> Iterator[Finding]:
    found: Any = broker.parameters
    servers = found if isinstance(found, list) else [found]
    for server in servers:
        server.blocked_connection_timeout = BLOCKED_SECONDS
    for server in servers:
        if not _is_loopback(server.host):
            yield _login(server)
    health = probed_twice(lambda: broker.probe(name))
    yield _published(health, url)
    if health.healthy:
        yield _arguments(broker, name)


def _arguments(broker: SafeRabbitmqBroker, name: str) -> Finding:
    found = broker.differences(name)
    if found is None:
        return fine("dramatiq queue", f"{name} is there; this user may declare none")
    if found:
        remedy = "works; what each argument does to messages stands in docs/rabbitmq.md"
        return warning("dramatiq queue", f"{name} has other arguments: {found}", remedy)
    return fine("dramatiq queue", f"{name} is as Failsoft declares it")


def _published(health: EngineHealth, url: str) -> Finding:
    shown = redacted_url(url)
    if health.healthy:
        return fine("dramatiq", f"RabbitMQ, {shown}, {health.detail}")
    if "ConnectionBlockedTimeout" in health.detail:
        remedy = "free memory or disk: rabbitmq-diagnostics alarms"
        return failure("dramatiq", f"{shown} holds publishers back: an alarm is up", remedy)
    remedy = "start RabbitMQ, or correct AMQP_URL"
    return unreachable("dramatiq", f"{shown}: {health.detail}", remedy)


def _login(server: Any) -> Finding:
    guest = server.credentials.username == "guest"
    plain = server.ssl_options is None
    words = [word for word, there in (("user guest", guest), ("no TLS", plain)) if there]
    if words:
        remedy = "make a user of its own with a password, and use amqps://"
        return warning("dramatiq login", f"{' and '.join(words)} towards {server.host}", remedy)
    return fine("dramatiq login", f"user {server.credentials.username}, TLS")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _server(url: str) -> tuple[object, ...]:
    options = shared_client(url, "doctor").connection_pool.connection_kwargs
    return tuple(options.get(key) for key in ("host", "port", "path"))


def _deadline() -> Deadline:
    return Deadline.after(SystemClock(), PROBE_BUDGET)
