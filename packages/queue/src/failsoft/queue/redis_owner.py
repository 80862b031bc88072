"""The mark of a ledger on a Redis: a key under the namespace.

To set it takes no right that offers do not take.
"""

from redis import Redis
from redis.exceptions import ResponseError

from failsoft.engine_api import DEFAULT_NAMESPACE, Claiming, Owner
from failsoft.queue.redis_errors import redis_errors


def redis_owner(client: Redis, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
    """Say whose a namespace is on a Redis, and take it as asked.

    Raises:
        EngineError: Redis did not say.
    """
    key = f"{namespace or DEFAULT_NAMESPACE}:ledger"
    with redis_errors(client), client.pipeline(transaction=False) as pipeline:
        if claiming != "look":
            pipeline.set(key, ledger_id, nx=claiming == "if_free")
        pipeline.get(key)
        found = pipeline.execute(raise_on_error=False)[-1]
    if isinstance(found, ResponseError):
        # No right to the key, or it holds something else: the messages' signatures will do.
        return Owner.UNKNOWN
    if found is None:
        return Owner.NONE
    return Owner.OURS if found in (ledger_id, ledger_id.encode()) else Owner.ANOTHER
