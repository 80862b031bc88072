"""Is Dramatiq's broker fit to carry offers?"""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from failsoft.engine_api import (
    DEFAULT,
    EngineHealth,
    EngineSite,
    Finding,
    failure,
    fine,
    probed_twice,
    redacted_url,
    unreachable,
    warning,
)
from failsoft.engines.dramatiq.adapter import make_broker
from failsoft.engines.dramatiq.rabbitmq import SafeRabbitmqBroker
from failsoft.engines.dramatiq.settings import DramatiqSettings
from failsoft.queue.redis_checks import look_at_redis


def look_at_broker(site: EngineSite[DramatiqSettings]) -> Iterator[Finding]:
    """Look at the server, and write what an offer writes."""
    url, variable = site.settings.amqp_url, site.variables["amqp_url"]
    within = site.answer_within
    broker = make_broker(
        url, site.namespace, queue_type=site.settings.queue_type, answer_within=within
    )
    queue = site.queue_name(DEFAULT)
    if isinstance(broker, SafeRabbitmqBroker):
        with closing(broker):
            yield from _RabbitmqChecks(site.name, broker, url, variable).look(queue, within)
    else:
        yield from look_at_redis(
            site.name, url, variable, lambda: broker.probe(queue), within=within
        )


class _RabbitmqChecks:
    def __init__(self, name: str, broker: SafeRabbitmqBroker, url: str, variable: str) -> None:
        self._name = name
        self._broker = broker
        self._url = redacted_url(url)
        self._variable = variable

    def look(self, queue: str, within: timedelta) -> Iterator[Finding]:
        found: Any = self._broker.parameters
        servers = found if isinstance(found, list) else [found]
        seconds = within.total_seconds()
        for server in servers:
            server.blocked_connection_timeout = seconds
            server.socket_timeout = max(server.socket_timeout, seconds)
            server.stack_timeout = max(server.stack_timeout, seconds)
        for server in servers:
            if not _is_loopback(server.host):
                yield self._login(server)
        health = probed_twice(lambda: self._broker.probe(queue))
        yield self._published(health)
        if health.healthy:
            yield self._arguments(queue)

    def _arguments(self, queue: str) -> Finding:
        check = f"{self._name} queue"
        found = self._broker.differences(queue)
        if found is None:
            return fine(check, f"{queue} is there; this user may declare none")
        if found:
            remedy = "works; what each argument does to messages stands in docs/how-to/rabbitmq.md"
            return warning(check, f"{queue} has other arguments: {found}", remedy)
        return fine(check, f"{queue} is as Failsoft declares it")

    def _published(self, health: EngineHealth) -> Finding:
        if health.healthy:
            return fine(self._name, f"RabbitMQ, {self._url}, {health.detail}")
        if "ConnectionBlockedTimeout" in health.detail:
            remedy = "free memory or disk: rabbitmq-diagnostics alarms"
            found = f"{self._url} holds publishers back: an alarm is up"
            return failure(self._name, found, remedy)
        remedy = f"start RabbitMQ, or correct {self._variable}"
        return unreachable(self._name, f"{self._url}: {health.detail}", remedy)

    def _login(self, server: Any) -> Finding:
        check = f"{self._name} login"
        guest = server.credentials.username == "guest"
        plain = server.ssl_options is None
        words = [word for word, there in (("user guest", guest), ("no TLS", plain)) if there]
        if words:
            remedy = "make a user of its own with a password, and use amqps://"
            return warning(check, f"{' and '.join(words)} towards {server.host}", remedy)
        return fine(check, f"user {server.credentials.username}, TLS")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
