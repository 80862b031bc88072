"""The one place where Redis errors become engine errors; RQ and Dramatiq on Redis share it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from failsoft.engine_api import (
    EngineHealth,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
    redacted,
)
from failsoft.queue.cluster import cluster_error, is_of_a_cluster

#: In place of a job's or a message's id where probes write.
PROBE_ID = "probe"
#: Appends to a list and takes it back. No worker sees it: the list has its former length before a
#: client that waits for it is served. What an offer does not need may be refused: the length, and
#: the taking back, without which nothing is appended. A user that may take back elsewhere and not
#: here has no right to this list.
PROBE_LIST = """
local length = redis.pcall('LLEN', KEYS[1])
if type(redis.pcall('LREM', KEYS[1], -1, ARGV[1])) == 'number' then
    redis.call('RPUSH', KEYS[1], ARGV[1])
    redis.call('LREM', KEYS[1], -1, ARGV[1])
elseif KEYS[2] and type(redis.pcall('LREM', KEYS[2], -1, ARGV[1])) == 'number' then
    redis.call('LREM', KEYS[1], -1, ARGV[1])
end
return type(length) == 'table' and length.err or length
"""
#: The errors of a server that takes no writes at all, whatever their key. Any other refusal
#: concerns the keys of a queue: no right to them (NOPERM), or something else in their place
#: (WRONGTYPE). Older servers put the word into the text of their scripts' errors.
_OF_SERVER = re.compile(
    r"\b(OOM|READONLY|MISCONF|NOREPLICAS|LOADING|MASTERDOWN|CLUSTERDOWN|BUSY|NOAUTH)\b"
)


@contextmanager
def redis_errors(client: Redis) -> Iterator[None]:
    """Translate what the one call inside raises.

    A server that broke the connection may have taken the command or not, which is uncertain;
    whether there was a connection is not, so it is taken out of the pool first.
    """
    with errors_of_connecting():
        pool = client.connection_pool
        pool.release(pool.get_connection())
    with errors_of_answers():
        yield


@contextmanager
def errors_of_connecting() -> Iterator[None]:
    """Translate what is raised where nothing was sent yet."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise EngineUnavailableError(f"Redis was not reached: {_text(error)}") from error


@contextmanager
def errors_of_answers() -> Iterator[None]:
    """Translate what is raised where something was sent, or may have been."""
    try:
        yield
    except ResponseError as error:
        # OOM, READONLY, MISCONF, NOREPLICAS, NOPERM: it answers PING and takes no writes (RS-04).
        raise _refused(error) from error
    except (RedisError, OSError) as error:
        raise OfferUncertainError(f"Redis did not answer: {_text(error)}") from error


def refusal(reply: object) -> OfferRefusedError | None:
    """Return the refusal in a pipeline's reply; None if the command was not refused."""
    return _refused(reply) if isinstance(reply, ResponseError) else None


def _refused(error: ResponseError) -> OfferRefusedError:
    kind = EngineRefusedError if _is_of_server(error) else OfferRefusedError
    return kind(f"Redis refused: {_text(error)}")


def _is_of_server(error: Exception) -> bool:
    # redis-py takes the word off the text of those that it has classes for.
    name, of_classes = type(error).__name__, (ReadOnlyError, OutOfMemoryError)
    return (
        isinstance(error, of_classes)
        or is_of_a_cluster(error)
        or bool(_OF_SERVER.search(f"{name} {error}"))
    )


def _text(error: Exception) -> str:
    return str(cluster_error()) if is_of_a_cluster(error) else redacted(str(error))


def probe_redis(
    client: Redis, queue_key: str, script: str = PROBE_LIST, *others: str
) -> EngineHealth:
    """Write what an offer writes, and take it back: an answer to PING would prove nothing.

    Args:
        client: Redis.
        queue_key: The key of the queue's list.
        script: Executes the commands of an offer with `PROBE_ID`; returns how many messages wait,
            or the server's error instead: offers do not need the number.
        others: The other keys of an offer.
    """
    try:
        found: Any = client.register_script(script)([queue_key, *others], [PROBE_ID])
    except ResponseError as error:
        return EngineHealth(
            healthy=False, detail=str(_refused(error)), is_refused=not _is_of_server(error)
        )
    except (RedisError, OSError) as error:
        return EngineHealth(healthy=False, detail=f"{type(error).__name__}: {_text(error)}")
    if isinstance(found, int):
        return EngineHealth(healthy=True, detail="wrote what an offer writes", backlog=found)
    if b"WRONGTYPE" in found:
        detail = f"Redis refused: {queue_key} is no list"
        return EngineHealth(healthy=False, detail=detail, is_refused=True)
    return EngineHealth(healthy=True, detail="wrote what an offer writes; may not count the queue")
