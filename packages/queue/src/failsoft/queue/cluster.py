"""The refusal of a Redis Cluster, which neither RQ nor Dramatiq speaks.

Both write several keys in one transaction or script, and a cluster keeps them on different nodes.
"""

from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from failsoft.engine_api import ConfigurationError

#: What is wrong, and what to use instead.
CLUSTER_REFUSED = (
    "expected a single Redis or Valkey, or a Sentinel service, got a Redis Cluster, which RQ, "
    "Dramatiq and Celery do not speak; name a server with cluster-enabled no, or "
    "redis+sentinel://host:26379/0?service=name, in {variables}"
)
VARIABLES = "REDIS_URL (for RQ) or AMQP_URL (for Dramatiq)"

_OF_CLUSTERS = (AskError, ClusterCrossSlotError, ClusterDownError, TryAgainError)
_OF_SCRIPTS = ("hash to the same slot", "non local key in a cluster", "cluster mode")


def is_of_a_cluster(error: BaseException) -> bool:
    """Return whether only a node of a cluster says that; `MOVED` and `CROSSSLOT` among others."""
    if isinstance(error, _OF_CLUSTERS):
        return True
    return isinstance(error, ResponseError) and any(text in str(error) for text in _OF_SCRIPTS)


def cluster_error(variables: str = VARIABLES) -> ConfigurationError:
    """Return the error that names what to use instead of a cluster."""
    return ConfigurationError(CLUSTER_REFUSED.format(variables=variables))


def refuse_cluster(client: Redis, variables: str) -> None:
    """Refuse a server that is a node of a cluster, if it answers.

    Raises:
        ConfigurationError: If it is one; the message names `variables`.
    """
    # One that is away, or refuses the command, is met again by its first command.
    with suppress(RedisError, OSError):
        facts: Any = client.info("cluster")
        if facts.get("cluster_enabled"):
            raise cluster_error(variables)
