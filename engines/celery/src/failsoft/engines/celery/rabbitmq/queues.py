"""The queues on RabbitMQ: declared, counted, and marked as a ledger's.

Each refusal closes the channel it came over, so every declaration has one of its own.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from amqp import Connection
from amqp.exceptions import AccessRefused, ChannelError, NotFound, PreconditionFailed

from failsoft.engine_api import DEFAULT_NAMESPACE, Claiming, ConfigurationError, Owner
from failsoft.engines.celery.settings import CelerySettings

#: The argument of a ledger's mark that differs between ledgers. The queue is never published to,
#: so that the argument limits nothing. Dramatiq's engine makes the same mark.
_MARK = "x-max-length-bytes"
#: The argument that says of which type a queue is.
_TYPE = "x-queue-type"


def arguments_of(settings: CelerySettings) -> dict[str, Any]:
    """Return what queues are declared with; a classic one as Celery declares it by default."""
    return {_TYPE: "quorum"} if settings.queue_type == "quorum" else {}


def declare(connection: Connection, queue: str, settings: CelerySettings) -> None:
    """Declare a queue, or take the one that an administrator has declared in another way.

    Raises:
        ConfigurationError: It is a stream, or of another type than the settings name.
        ChannelError: RabbitMQ refused it.
    """
    try:
        _declare(connection, queue, arguments=arguments_of(settings), durable=True)
    except (PreconditionFailed, AccessRefused) as error:
        _expect_type(connection, queue, str(error), settings)
        try:
            _declare(connection, queue, passive=True)
        except ChannelError as missing:
            # It is not there and may not be declared: the first error is the reason.
            raise error from missing


def differences(connection: Connection, queue: str, settings: CelerySettings) -> str | None:
    """Return RabbitMQ's text about a queue that is not as it would be declared; "" for others.

    None where this user may declare none, and the two cannot be compared.
    """
    try:
        _declare(connection, queue, arguments=arguments_of(settings), durable=True)
    except PreconditionFailed as error:
        return str(error)
    except AccessRefused:
        return None
    return ""


def count(connection: Connection, queue: str) -> int:
    """Return how many messages wait in a queue.

    Raises:
        NotFound: There is no such queue.
    """
    return _declare(connection, queue, passive=True)


def owner(connection: Connection, namespace: str, ledger_id: str, claiming: Claiming) -> Owner:
    """Return whose a namespace is on a RabbitMQ, and take it if `claiming` says so."""
    # The names of users' queues have no dots, so that none of them is in the way.
    queue = f"{namespace or DEFAULT_NAMESPACE}-.ledger"
    # Enough of a hash to differ between ledgers, and a number that AMQP can carry.
    number = int.from_bytes(hashlib.sha256(ledger_id.encode()).digest()[:7]) + 1
    try:
        if claiming == "look" and not _exists(connection, queue):
            return Owner.NONE
        if claiming == "take_over":
            with connection.channel() as channel:
                channel.queue_delete(queue)
        _declare(connection, queue, arguments={_MARK: number}, durable=True)
    except PreconditionFailed as error:
        return Owner.ANOTHER if _MARK in str(error) else Owner.UNKNOWN
    except ChannelError:
        return Owner.UNKNOWN
    return Owner.OURS


def _exists(connection: Connection, queue: str) -> bool:
    try:
        _declare(connection, queue, passive=True)
    except NotFound:
        return False
    return True


def _declare(
    connection: Connection,
    queue: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    passive: bool = False,
    durable: bool = False,
) -> int:
    """Declare a queue, and return how many messages wait in it."""
    with connection.channel() as channel:
        found: Any = channel.queue_declare(
            queue, passive=passive, durable=durable, auto_delete=False, arguments=arguments
        )
    return int(found.message_count)


def _expect_type(connection: Connection, queue: str, said: str, settings: CelerySettings) -> None:
    if "'stream'" in said:
        raise ConfigurationError(
            f"expected a classic or quorum queue {queue}, got a stream, which keeps what is "
            "acknowledged; delete it, or choose another FAILSOFT_NAMESPACE"
        )
    arguments = arguments_of(settings)
    if arguments and _TYPE not in said:
        # Of several arguments that differ it names one. With the type alone it names that one,
        # unless the queue has others.
        try:
            _declare(connection, queue, arguments=arguments, durable=True)
        except ChannelError as error:
            said = str(error)
    if arguments and _TYPE in said:
        raise ConfigurationError(
            f"expected {queue} to be a quorum queue, as queue_type of the engine says, got a "
            "classic one; RabbitMQ changes the type of no queue: let the workers empty it, then "
            f"delete it (rabbitmqctl delete_queue {queue} --if-empty), or choose another "
            "FAILSOFT_NAMESPACE, or leave queue_type at classic"
        )
