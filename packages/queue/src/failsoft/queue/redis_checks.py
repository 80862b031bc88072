"""Checks that a Redis or Valkey is suitable for offers."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from redis.exceptions import NoPermissionError, RedisError
from redis.sentinel import SentinelConnectionPool

from failsoft.engine_api import (
    EngineHealth,
    Finding,
    failure,
    failure_if,
    fine,
    probed_twice,
    redacted_url,
    unreachable,
    warning,
)
from failsoft.queue.client import shared_client


def look_at_redis(
    name: str, url: str, variable: str, probe: Callable[[], EngineHealth], *, within: timedelta
) -> Iterator[Finding]:
    """Check a server.

    Args:
        name: The name of its checks.
        url: Its URL.
        variable: The environment variable of the URL.
        probe: Writes what the engine would write.
        within: How long each answer may take.
    """
    client = shared_client(url, "doctor", within)
    try:
        facts: Mapping[str, Any] = client.info()
    except NoPermissionError:
        # Offers do not need INFO; the probe checks the rights that they need.
        yield fine(name, f"{redacted_url(url)}; this user may not read more (INFO)")
        yield _write(name, probed_twice(probe))
        return
    except (RedisError, OSError) as error:
        found = f"{redacted_url(url)} was not reached: {error}"
        yield unreachable(name, found, f"start it, or correct {variable}")
        return
    kind, version = _kind(facts)
    yield fine(name, f"{kind} {version}, {redacted_url(url)}")
    if facts.get("cluster_enabled"):
        remedy = f"name a single server, or redis+sentinel://…?service=name, in {variable}"
        found = "a Redis Cluster, which RQ, Dramatiq and Celery do not speak"
        yield failure(f"{name} role", found, remedy, os.EX_CONFIG)
        return
    yield _role(name, facts, variable)
    yield _write(name, probed_twice(probe))
    yield _eviction(name, facts)
    yield _persistence(name, facts)


def server_of(url: str) -> tuple[object, ...]:
    """Return what distinguishes the server of a URL from others."""
    pool: Any = shared_client(url, "doctor").connection_pool
    if isinstance(pool, SentinelConnectionPool):
        sentinels = (
            each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels
        )
        places = sorted((str(each["host"]), int(each["port"])) for each in sentinels)
        return (pool.service_name, *places)
    return tuple(pool.connection_kwargs.get(key) for key in ("host", "port", "path"))


def _kind(facts: Mapping[str, Any]) -> tuple[str, str]:
    if "valkey_version" in facts:
        return "Valkey", str(facts["valkey_version"])
    return "Redis", str(facts.get("redis_version", "of an unknown version"))


def _role(name: str, facts: Mapping[str, Any], variable: str) -> Finding:
    role = str(facts.get("role"))
    if role != "master":
        return failure(f"{name} role", f"{role}, which takes no writes", f"correct {variable}")
    return fine(f"{name} role", role)


def _write(name: str, health: EngineHealth) -> Finding:
    remedy = "check the server's log, memory and disk"
    return failure_if(not health.healthy, f"{name} write", health.detail, remedy)


def _eviction(name: str, facts: Mapping[str, Any]) -> Finding:
    policy = str(facts.get("maxmemory_policy"))
    remedy = "CONFIG SET maxmemory-policy noeviction: otherwise offers are dropped without an error"
    found = f"maxmemory-policy {policy}"
    return failure_if(policy != "noeviction", f"{name} eviction", found, remedy)


def _persistence(name: str, facts: Mapping[str, Any]) -> Finding:
    if facts.get("aof_enabled"):
        return fine(f"{name} persistence", "append-only file")
    found = "no append-only file: after a crash the ledger offers every waiting job again"
    return warning(f"{name} persistence", found, "CONFIG SET appendonly yes")
