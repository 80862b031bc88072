"""The one place where Redis errors become engine errors; RQ and Dramatiq on Redis share it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from understudy.job_engine.engine_port import EngineHealth
from understudy.job_engine.errors import (
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from understudy.job_engine.redaction import redacted
from understudy.queue.cluster import cluster_error, is_of_a_cluster

#: What a probe writes, for this long.
PROBE_KEY = "understudy:probe"
PROBE_TTL_MS = 10_000


@contextmanager
def redis_errors(client: Redis) -> Iterator[None]:
    """Translate what the one call inside raises.

    Whether a server that broke the connection had taken the command cannot be known; whether
    there was a connection can, so it is taken out of the pool first.
    """
    try:
        pool = client.connection_pool
        pool.release(pool.get_connection())
    except (RedisError, OSError) as error:
        raise EngineUnavailableError(f"Redis was not reached: {_text(error)}") from error
    try:
        yield
    except ResponseError as error:
        # OOM, READONLY, MISCONF, NOREPLICAS, NOPERM: it answers PING and takes no writes (RS-04).
        raise _refused(error) from error
    except (RedisError, OSError) as error:
        raise OfferUncertainError(f"Redis did not answer: {_text(error)}") from error


def refusal(reply: object) -> OfferRefusedError | None:
    """Say of a reply out of a pipeline why its command was refused; None if it was not."""
    return _refused(reply) if isinstance(reply, ResponseError) else None


def _refused(error: ResponseError) -> OfferRefusedError:
    return OfferRefusedError(f"Redis refused: {_text(error)}")


def _text(error: Exception) -> str:
    return str(cluster_error()) if is_of_a_cluster(error) else redacted(str(error))


def probe_redis(client: Redis, backlog_key: str) -> EngineHealth:
    """Write and read back, and count what waits: an answer to PING would prove nothing."""
    token = secrets.token_hex(8)
    try:
        with client.pipeline() as pipeline:
            pipeline.set(PROBE_KEY, token, px=PROBE_TTL_MS)
            pipeline.get(PROBE_KEY)
            pipeline.llen(backlog_key)
            _, found, backlog = pipeline.execute()
    except (RedisError, OSError) as error:
        return EngineHealth(healthy=False, detail=f"{type(error).__name__}: {_text(error)}")
    healthy = found in (token, token.encode())
    return EngineHealth(healthy, "wrote and read back" if healthy else "lost a write", backlog)
