"""The mark of a ledger on a RabbitMQ: a queue under the namespace.

To declare it takes no right that offers do not take.
"""

import hashlib
from typing import Any

from pika.exceptions import ChannelClosedByBroker

from failsoft.job_engine.policies.queue import DEFAULT_NAMESPACE
from failsoft.job_engine.ports.engine import Claiming, Owner

#: The argument of the queue that tells one ledger's from another's. Its queue is never published
#: to, so that the argument limits nothing.
ARGUMENT = "x-max-length-bytes"

#: AMQP's reply codes: no such queue, a queue with other arguments.
_MISSING, _OTHER_ARGUMENTS = 404, 406


def rabbitmq_owner(connection: Any, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
    """Say whose a namespace is on a RabbitMQ, and take it as asked.

    Raises:
        AMQPError: RabbitMQ did not say.
    """
    # Dots are in no queue's name, so that no queue of a user's is in the way.
    queue = f"{namespace or DEFAULT_NAMESPACE}-.ledger"
    # Enough of a hash to tell ledgers apart, and a number that AMQP can carry.
    number = int.from_bytes(hashlib.sha256(ledger_id.encode()).digest()[:7]) + 1
    try:
        if claiming == "look" and _declared(connection, queue, passive=True) == _MISSING:
            return Owner.NOBODY
        if claiming == "take_over":
            _deleted(connection, queue)
        code = _declared(connection, queue, durable=True, arguments={ARGUMENT: number})
    except _UnclearError:
        return Owner.UNKNOWN
    return {None: Owner.OURS, _OTHER_ARGUMENTS: Owner.ANOTHER}.get(code, Owner.UNKNOWN)


class _UnclearError(Exception):
    """RabbitMQ refused for another reason."""


def _declared(connection: Any, queue: str, **how: Any) -> int | None:
    """Declare a queue on a channel of its own, which a refusal closes; return why it was refused.

    Raises:
        _UnclearError: For a reason that says nothing of the ledger.
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
