"""The mark of a ledger on a RabbitMQ: a queue under the namespace.

To declare it takes no right that offers do not take.
"""

import hashlib
from typing import Any

from pika.exceptions import ChannelClosedByBroker

from failsoft.engine_api import DEFAULT_NAMESPACE, Claiming, Owner

#: The argument of the queue that differs between ledgers. The queue is never published to, so that
#: the argument limits nothing.
ARGUMENT = "x-max-length-bytes"

#: AMQP's reply codes: no such queue, a queue with other arguments.
_MISSING, _OTHER_ARGUMENTS = 404, 406


def rabbitmq_owner(connection: Any, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
    """Return whose a namespace is on a RabbitMQ, and take it if `claiming` says so.

    Raises:
        AMQPError: RabbitMQ did not answer.
    """
    # The names of users' queues have no dots, so that none of them is in the way.
    queue = f"{namespace or DEFAULT_NAMESPACE}-.ledger"
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
