"""The contract of an engine: what the core needs of a broker."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.message import Message


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """What a probe found.

    Attributes:
        healthy: Whether a real write went through; an answer to PING proves nothing.
        detail: For people: what was found.
        backlog: How many messages wait in the queue; None where the engine does not say.
        is_refused: Whether it answered, and refused this queue alone: then it is not away, and
            says nothing of other queues.
    """

    healthy: bool
    detail: str
    backlog: int | None = None
    is_refused: bool = False


def probed_twice(probe: Callable[[], EngineHealth]) -> EngineHealth:
    """Probe a second time where the first went well: an engine comes back by several in a row."""
    first = probe()
    return probe() if first.healthy else first


class EngineAdapter(Protocol):
    """The piece that speaks to one engine: three methods, no memory, no retry, no log."""

    @property
    def name(self) -> str:
        """The engine's name: `rq`, `dramatiq`, `memory`, ..."""
        ...

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Hand the message to the engine; return only if it has it.

        Raises:
            EngineUnavailableError: It was never reached.
            OfferRefusedError: It said no, to this queue; to every queue if that is an
                `EngineRefusedError`.
            OfferUncertainError: It may have it.
        """
        ...

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Find out by a real write whether the engine would take an offer; never raises.

        It may take no right, no name and no room that an offer to the queue does not take.
        """
        ...

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Remove an offer that is void, if that is easy; a courtesy that never raises."""
        ...


@runtime_checkable
class PunctualEngineAdapter(Protocol):
    """What an engine adapter may do besides: keep a deadline by itself where it has a connection.

    Then an offer needs no thread that is given up when the deadline has passed.
    """

    def offer_at_once(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool:
        """Do as `offer` on a connection that is there, and return or raise by the deadline.

        Whatever the server does: a reply that trickles in counts as none. False where there is no
        connection; then nothing was sent, and `offer` is called, which may take any time.

        Raises:
            EngineError: As `offer`.
        """
        ...


@runtime_checkable
class AskableEngineAdapter(Protocol):
    """What an engine adapter may do besides: say whether it still has a message.

    Rescuers call it before they offer a job again that was not claimed. Without it they go by the
    length of the queue.
    """

    def holds(self, message: Message, queue: QueueProfile, deadline: Deadline) -> bool | None:
        """Return whether the message waits in the queue, to be delivered; None if that is unknown.

        False also means that a worker was given the message. May raise what `offer` raises; that
        counts as unknown.
        """
        ...


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message in a queue of an engine.

    Attributes:
        message: The message; its MAC was not looked at.
        made_at: When it was made, by the clock of the process that made it.
    """

    message: Message
    made_at: datetime


@runtime_checkable
class ReadableEngineAdapter(Protocol):
    """What an engine adapter may do besides: show the messages that wait, and leave them there.

    `doctor` and `failsoft ledger verify` look for messages whose job the ledger does not hold.
    """

    def waiting(self, queue: QueueProfile) -> Iterable[WaitingMessage] | None:
        """Return the newest messages of a queue; None if they are shown to consumers alone.

        Raises:
            EngineError: The engine did not answer.
        """
        ...


class Owner(Enum):
    """Whose a broker's namespace is."""

    OURS = "this ledger's"
    ANOTHER = "another ledger's"
    NONE = "no ledger's yet"
    UNKNOWN = "the broker does not say"


#: Only look; take it if it is no ledger's; take it in any case.
Claiming = Literal["look", "if_free", "take_over"]


@runtime_checkable
class OwnedEngineAdapter(Protocol):
    """What an engine adapter may do besides: keep a ledger's mark on the broker.

    Two ledgers behind one namespace would take each other's messages. Without it their signatures
    still keep them from running each other's jobs, and a message that is lost is offered again.
    """

    def owner(self, ledger_id: str, deadline: Deadline, claiming: Claiming) -> Owner:
        """Return whose the namespace is, and take it as `claiming` says.

        Raises:
            EngineError: The broker did not say.
        """
        ...
