"""The outbox: records for other systems, written in the transaction of a `tx` step (rule 28).

A step puts records in; the ledger writes them with the step's own record, or not at all; a relay of
the engine that they are for publishes them later, at least once and each with its id. Nothing here
is an engine's own: what a topic is, the engine says.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from failsoft.job_engine.errors import StepError
from failsoft.job_engine.validation import Expect

#: The largest value of a record, in bytes: less than what brokers take at most by default, since
#: one that is refused later holds back all that follow it with its key.
MAX_VALUE_BYTES = 900_000
MAX_KEY_BYTES = 1024
MAX_TOPIC_CHARS = 249
MAX_HEADERS, MAX_HEADER_BYTES = 32, 1024
#: Headers that the relay sets begin with this.
RESERVED = "failsoft-"

_EXPECT = Expect(StepError, "outbox: ")


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """A record to publish.

    Attributes:
        engine: The engine whose relay publishes it, by the name that the operator gave it.
        topic: Where it goes.
        value: What it says; None where the engine has a use for that, as Kafka for a tombstone.
        key: Records of one topic and key are published in the order of their commits; those
            without one in any.
        headers: What goes with it.

    Raises:
        StepError: One of them is too long, or of another type.
    """

    engine: str
    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the ledger or a broker could not take."""
        _EXPECT.text("an engine's name", self.engine, most=64)
        _EXPECT.text("a topic", self.topic, most=MAX_TOPIC_CHARS)
        _bytes_or_none("a value", self.value, MAX_VALUE_BYTES)
        _bytes_or_none("a key", self.key, MAX_KEY_BYTES)
        count = len(self.headers)
        _EXPECT.that(count <= MAX_HEADERS, f"at most {MAX_HEADERS} headers", f"{count}")
        for name, value in self.headers:
            _EXPECT.text("a header's name", name, most=128)
            ours = name.startswith(RESERVED)
            _EXPECT.value(not ours, f"headers that do not begin with {RESERVED}", name)
            _EXPECT.value(isinstance(value, bytes), f"header {name!r} as bytes", value)
            _bytes_or_none(f"header {name!r}", value, MAX_HEADER_BYTES)


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A record in the ledger's outbox.

    Attributes:
        id: 128 random bits in hexadecimal, the same each time it is published.
        seq: Grows with each record; of one key in the order of the commits.
        record: What is published.
        job_id: The job whose step put it in.
        step: That step.
        created_at: When, on the ledger's clock.
        refusals: How often the broker refused it.
        error: Why, the last time.
    """

    id: str
    seq: int
    record: OutboxRecord
    job_id: str
    step: str
    created_at: datetime
    refusals: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxLoad:
    """What of one engine's records is not published yet.

    Attributes:
        engine: The engine.
        waiting: How many wait.
        oldest: How long the oldest has waited.
        refused: How many of them the broker has refused.
        error: What it said of the oldest of those.
    """

    engine: str
    waiting: int
    oldest: timedelta
    refused: int
    error: str | None


class OutboxLedger(Protocol):
    """The ledger as a relay needs it.

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def outbox_waiting(self, engine: str, limit: int) -> Sequence[OutboxEntry]:
        """Return the records to publish next, in their order.

        One that was refused is left out until its pause is over, and so is all that follows it
        with its topic and key.
        """
        ...

    def outbox_turn(self, engine: str) -> str | None:
        """Return who publishes, and a number that grows with each sign of that; None if none."""
        ...

    def take_outbox_turn(self, engine: str, seen: str | None, mine: str) -> bool:
        """Take or renew the turn if it is as it was seen; return whether it was."""
        ...

    def outbox_published(self, seqs: Sequence[int]) -> None:
        """Note that the broker has these; repeating it is harmless."""
        ...

    def outbox_refused(self, seq: int, error: str, pause: timedelta) -> None:
        """Note that the broker refused a record, which is tried again after a pause."""
        ...

    def outbox_load(self) -> Sequence[OutboxLoad]:
        """Return what waits, by engine; engines without any are left out."""
        ...


_open: ContextVar[list[OutboxRecord] | None] = ContextVar("failsoft_outbox", default=None)


@contextmanager
def collecting() -> Iterator[list[OutboxRecord]]:
    """Collect what is put into the outbox meanwhile; for the ledger, around a `tx` step's work."""
    collected: list[OutboxRecord] = []
    token = _open.set(collected)
    try:
        yield collected
    finally:
        _open.reset(token)


def put_in_outbox(record: OutboxRecord) -> None:
    """Put a record into the outbox of the open `tx` step.

    It is written after the step's own SQL, in its transaction: where two steps wait for one row,
    their records are in the order of their commits (rule 28).

    Raises:
        StepError: No `tx` step is open here.
    """
    collected = _open.get()
    if collected is None:
        raise StepError(
            "outbox: expected a call within a `tx` step, got one outside; a record is published "
            "if, and only if, its step's transaction commits: ctx.run(name, fn, ..., tx=True)"
        )
    collected.append(record)


def _bytes_or_none(name: str, value: object, most: int) -> None:
    if value is None:
        return
    _EXPECT.value(isinstance(value, bytes), f"{name} as bytes", value)
    if isinstance(value, bytes):
        _EXPECT.that(len(value) <= most, f"{name} of at most {most} bytes", f"{len(value)}")
