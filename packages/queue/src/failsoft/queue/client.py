"""One Redis client per process, URL and purpose: short timeouts, no retries of its own."""

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from failsoft.engine_api import ConfigurationError, redacted_url
from failsoft.queue.bounded_replies import bound
from failsoft.queue.sentinels import SentinelQuorum, leave_parted

#: How long a command of a dispatcher may wait for its answer.
COMMAND_TIMEOUT = timedelta(seconds=1)

_clients: dict[tuple[int, str, str, timedelta], Redis] = {}


def shared_client(
    url: str, purpose: str = "dispatch", timeout: timedelta = COMMAND_TIMEOUT
) -> Redis:
    """Return this process's client for a URL, made on first use.

    Args:
        url: `redis://`, `rediss://`, `unix://`, or
            `redis+sentinel://host:26379,host:26379/0?service=mymaster`, with `sentinel_username`,
            `sentinel_password` and `sentinel_ssl=true` for the Sentinels themselves. What its query
            says besides, as `socket_timeout`, is obeyed.
        purpose: Clients of different purposes share no connection: RQ raises the timeouts of the
            client it is given (RQ-18).
        timeout: For connecting, and for each command.

    Raises:
        ConfigurationError: If the URL cannot be read.
    """
    key = (os.getpid(), url, purpose, timeout)
    if key not in _clients:
        _clients[key] = _make(url, timeout)
    return _clients[key]


def _make(url: str, timeout: timedelta) -> Redis:
    seconds = timeout.total_seconds()
    options = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "socket_keepalive": True,
        # By default the client sends a command again whose answer was lost: measured eleven
        # times in a row. To send again is the ledger's decision (RS-01).
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        if not parse_qs(urlsplit(url).query).keys() & {"lib_name", "lib_version"}:
            options |= _library()
        if url.startswith(("redis+sentinel://", "rediss+sentinel://")):
            client = _sentinel_client(url, options)
        else:
            client = Redis(connection_pool=ConnectionPool.from_url(url, **options))
            bound(client.connection_pool)
            # Options that no connection has are found out here, and not at the first command.
            client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        raise ConfigurationError(
            "expected a Redis URL like redis://host:6379/0, rediss://... or "
            f"redis+sentinel://host:26379/0?service=name, got {redacted_url(url)}, which cannot be "
            "read; percent-encode what is not a letter or a digit in its password"
        ) from None
    if client.connection_pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError(
            "expected a Redis URL without decode_responses, for messages are bytes, got "
            f"{redacted_url(url)}; leave it out"
        )
    return client


@lru_cache
def _library() -> Mapping[str, Any]:
    """Return how a connection names its library to the server.

    Without it redis-py looks its own version up for each connection: a millisecond.
    """
    try:
        from redis.driver_info import DriverInfo  # noqa: PLC0415 - redis-py 7 and later have it
    except ImportError:
        return {}
    return {"driver_info": DriverInfo()}


def _sentinel_client(url: str, options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    service = query.pop("service", None)
    own = {name: query.pop(f"sentinel_{name}", [""])[0] for name in ("username", "password")}
    own_tls = query.pop("sentinel_ssl", ["false"])[0].lower()
    user, _, places = parts.netloc.rpartition("@")
    hosts = places.split(",")
    if not service or not all(hosts) or own_tls not in ("true", "false"):
        raise ValueError("a Sentinel URL names its hosts and ?service=")
    sentinels = [(host, int(port or 26379)) for host, _, port in (h.partition(":") for h in hosts)]
    # All but the hosts is as in the URL of one server.
    said: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        urlunsplit(("redis", f"{user}@", parts.path, urlencode(query, doseq=True), ""))
    )
    tls = {name: value for name, value in said.items() if name.startswith("ssl_")}
    sentinel: Any = SentinelQuorum(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        sentinels,
        sentinel_kwargs={
            **options,
            **{name: value for name, value in own.items() if value},
            **({"ssl": True, **tls} if own_tls == "true" else {}),
        },
        ssl=parts.scheme.startswith("rediss"),
        **{**options, **said},
    )
    client: Redis = sentinel.master_for(service[0])
    leave_parted(client.connection_pool)
    bound(client.connection_pool)
    return client


def close_clients() -> None:
    """Close the connections of every client of this process; each may still be used."""
    for (pid, *_), client in list(_clients.items()):
        if pid == os.getpid():
            client.connection_pool.disconnect()
