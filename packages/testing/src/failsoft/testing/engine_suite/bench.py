# ruff: noqa: S101 - a conformance suite asserts
"""What the engine suite runs on, and its helpers."""

import secrets
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar

from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError, EngineUnavailableError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.ports.engine import AskableEngineAdapter, EngineAdapter
from failsoft.job_engine.records.message import VERSION, Message, SigningKey
from failsoft.testing.engine_suite.patience import patience
from failsoft.testing.engine_suite.stopwatch import Stopwatch

T = TypeVar("T")

#: How long an offer may take, and how much later it may come back (rule 16).
DEADLINE = timedelta(seconds=1)
TOLERANCE = timedelta(seconds=0.2)
#: How long to wait for one of several tries.
BRIEF = timedelta(seconds=0.2)
#: How long to wait before an event counts as not coming.
QUIET = timedelta(seconds=1)

_KEY = SigningKey.generate()


@dataclass(frozen=True, slots=True)
class ForeignMessage:
    """A well-formed message of an engine that names other code than ours.

    Attributes:
        body: Its body.
        headers: Its headers, for an engine that names the code to call there.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class EngineBench(Protocol):
    """An engine with its server and one worker, on a queue of its own."""

    @property
    def engine(self) -> EngineAdapter:
        """The adapter under test; one object for the whole test."""
        ...

    @property
    def queue(self) -> QueueProfile:
        """The queue that the worker serves; empty at first."""
        ...

    @property
    def foreign(self) -> Sequence[ForeignMessage]:
        """Well-formed messages of this engine that name other code than ours; at least one."""
        ...

    def call(self, work: Callable[[], T], deadline: Deadline) -> T:
        """Call the adapter as the dispatcher does, bounded by the deadline."""
        ...

    def ready(self) -> None:
        """Start the worker unless it runs, and return once it would take a message."""
        ...

    def received(self, count: int, timeout: timedelta) -> list[object]:
        """Return all that the worker has handed to its processor so far.

        The worker starts at the first call, which does not wait for it to be ready. This returns
        as soon as there are `count`, or what there is when the time is up.
        """
        ...

    def break_processor(self, times: int = 1) -> None:
        """Let the processor raise for the next `times` messages."""
        ...

    def rejected(self) -> int:
        """Return how many messages the worker has dropped."""
        ...

    def plant(self, message: ForeignMessage) -> None:
        """Put a foreign message where offers wait."""
        ...

    def stop_server(self) -> None:
        """Stop the server; connections to it are refused."""
        ...

    def start_server(self) -> None:
        """Start it again in the same place; what it held may be gone."""
        ...

    def freeze_server(self) -> None:
        """Halt the server: connections are accepted and nothing is answered."""
        ...

    def thaw_server(self) -> None:
        """Let a frozen server go on."""
        ...


def new_message(job_id: str | None = None, epoch: int = 1) -> Message:
    """Return a signed message."""
    job_id = job_id or secrets.token_hex(8)
    return Message(VERSION, job_id, epoch, _KEY.kid, _KEY.mac(job_id, epoch, "any"))


def offer(bench: EngineBench, message: Message, queue: QueueProfile | None = None) -> None:
    """Offer a message with the longest deadline that a delivery may need."""
    _offer(bench, message, queue or bench.queue, patience())


def offer_in_time(bench: EngineBench, message: Message) -> None:
    """Offer a message under a dispatch's deadline."""
    _offer(bench, message, bench.queue, DEADLINE)


def held(bench: EngineBench, message: Message) -> bool | None:
    """Return what the engine says about holding a message, as a rescuer reads it."""
    engine, deadline = bench.engine, Deadline.after(SystemClock(), DEADLINE)
    if not isinstance(engine, AskableEngineAdapter):
        return None
    try:
        return bench.call(lambda: engine.holds(message, bench.queue, deadline), deadline)
    except EngineError:
        return None


def offer_again_and_again(bench: EngineBench, message: Message) -> None:
    """Offer a message until it is taken."""
    eventually(lambda: _is_taken(bench, message), "an offer is taken again")


def failure_of(work: Callable[[], object]) -> tuple[EngineError | None, timedelta]:
    """Return the error of a call, and the time that the call itself took."""
    error = None
    with Stopwatch() as watch:
        try:
            work()
        except EngineError as raised:
            error = raised
    return error, watch.elapsed


def delivered(bench: EngineBench, count: int, timeout: timedelta | None = None) -> list[Message]:
    """Return the messages that the worker received; waits for them within the patience."""
    limit = patience() if timeout is None else timeout
    return [Message.from_wire(wire) for wire in bench.received(count, limit)]


def arrived(bench: EngineBench, messages: Collection[Message]) -> list[Message]:
    """Return all that was delivered, once these were and nothing came for a while."""
    wanted = set(messages)
    eventually(lambda: wanted <= set(delivered(bench, 0)), f"{len(wanted)} messages are delivered")
    return settled(bench)


def settled(bench: EngineBench) -> list[Message]:
    """Return all that was delivered, after a while in which a worker would have taken more."""
    bench.ready()
    return delivered(bench, sys.maxsize, QUIET)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds, within the patience."""
    limit = patience()
    patience_ends = time.monotonic() + limit.total_seconds()
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < patience_ends, f"expected within {limit}: {what}"
        pause.wait(0.05)


def _is_taken(bench: EngineBench, message: Message) -> bool:
    error, _ = failure_of(lambda: offer_in_time(bench, message))
    return error is None


def was_not_taken(error: EngineError | None) -> bool:
    """Return whether an offer failed with an error that states what is known of it."""
    return error is not None and type(error) is not EngineError


def was_never_reached(error: EngineError | None) -> bool:
    """Return whether an error states that the offer did not reach the server."""
    return isinstance(error, EngineUnavailableError)


def _offer(bench: EngineBench, message: Message, queue: QueueProfile, within: timedelta) -> None:
    deadline = Deadline.after(SystemClock(), within)
    bench.call(lambda: bench.engine.offer(message, queue, deadline), deadline)
