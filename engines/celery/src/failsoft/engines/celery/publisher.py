"""What the half that offers needs of a broker."""

from collections.abc import Sequence
from typing import Protocol

from failsoft.engine_api import Claiming, Deadline, EngineError, EngineHealth, Message, Owner


class Publisher(Protocol):
    """Puts tasks into the queues of one broker."""

    def publish(
        self, messages: Sequence[Message], queue: str, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Publish each message once; return for each why the broker refused it.

        Raises:
            EngineError: What is known of all of them.
        """
        ...

    def probe(self, queue: str, deadline: Deadline) -> EngineHealth:
        """Find out by a real write whether the queue would take a message."""
        ...

    def owner(
        self, namespace: str, ledger_id: str, deadline: Deadline, claiming: Claiming
    ) -> Owner:
        """Return whose a namespace is, and take it as `claiming` says.

        Raises:
            EngineError: The broker did not say.
        """
        ...

    def keep_alive(self) -> None:
        """Keep the idle connection of this thread alive."""
        ...

    def disconnect(self) -> None:
        """Close the connection of this thread."""
        ...
