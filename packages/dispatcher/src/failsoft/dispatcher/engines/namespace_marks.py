"""The mark of a ledger on a broker: a key in Redis, a queue in RabbitMQ.

Both are named after the namespace, and setting them takes no right that offers do not take.
"""

import hashlib
from typing import Any

from pika.exceptions import ChannelClosedByBroker
from redis import Redis
from redis.exceptions import ResponseError

from failsoft.dispatcher.engines.redis_errors import redis_errors
from failsoft.job_engine.ports.engine import Claiming, Owner

#: In place of an empty namespace.
NO_NAMESPACE = "failsoft"
#: The argument of the queue that differs between ledgers. The queue is never published to, so that
#: the argument limits nothing.
ARGUMENT = "x-max-length-bytes"

#: AMQP's reply codes: no such queue, a queue with other arguments.
_MISSING, _OTHER_ARGUMENTS = 404, 406


def redis_owner(client: Redis, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
    """Return whose a namespace is on a Redis, and take it if `claiming` says so.

    Raises:
        EngineError: Redis did not answer.
    """
    key = f"{namespace or NO_NAMESPACE}:ledger"
    with redis_errors(client), client.pipeline(transaction=False) as pipeline:
        if claiming != "look":
            pipeline.set(key, ledger_id, nx=claiming == "if_free")
        pipeline.get(key)
        found = pipeline.execute(raise_on_error=False)[-1]
    if isinstance(found, ResponseError):
        # No right to the key, or it holds something else: the messages' signatures are enough.
        return Owner.UNKNOWN
    if found is None:
        return Owner.NONE
    return Owner.OURS if found in (ledger_id, ledger_id.encode()) else Owner.ANOTHER


def rabbitmq_owner(connection: Any, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
    """Return whose a namespace is on a RabbitMQ, and take it if `claiming` says so.

    Raises:
        AMQPError: RabbitMQ did not answer.
    """
    # The names of users' queues have no dots, so that none of them is in the way.
    queue = f"{namespace or NO_NAMESPACE}-.ledger"
    # Enough of a hash to differ between ledgers, and a number that AMQP can carry.
    number = int.from_bytes(hashlib.sha256(ledger_id.encode()).digest()[:7]) + 1
    try:
        if claiming == "look" and _declared(connection, queue, passive=True) == _MISSING:
            return Owner.NONE
        if claiming == "take_over":
            _deleted(connection, queue)
        code = _declared(connection, queue, durable=True, arguments={ARGUMENT: number})
    except _UnclearError:
        return Owner.UNKNOWN
    return {None: Owner.OURS, _OTHER_ARGUMENTS: Owner.ANOTHER}.get(code, Owner.UNKNOWN)


class _UnclearError(Exception):
    """RabbitMQ refused for a reason that does not concern the ledger."""


def _declared(connection: Any, queue: str, **how: Any) -> int | None:
    """Declare a queue on a channel of its own, which a refusal closes; return the refusal's code.

    Raises:
        _UnclearError: For another reason than the ledger's mark.
    """
    try:
        channel = connection.channel()
        channel.queue_declare(queue, **how)
        channel.close()
    except ChannelClosedByBroker as error:
        is_ours = error.reply_code == _OTHER_ARGUMENTS and ARGUMENT in error.reply_text
        if not is_ours and error.reply_code != _MISSING:
            raise _UnclearError from error
        return int(error.reply_code)
    return None


def _deleted(connection: Any, queue: str) -> None:
    try:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.close()
    except ChannelClosedByBroker as error:
        raise _UnclearError from error
