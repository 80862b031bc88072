"""A record of a topic, as a program sees it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The header by which readers tell copies of one record of an outbox.
ID_HEADER = "failsoft-id"
#: Of a longer topic an idempotency key has the beginning and a hash.
MAX_TOPIC_CHARS = 120


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic.

    Attributes:
        topic: The topic.
        partition: The partition.
        offset: Its place there.
        timestamp_ms: When it was made, or appended, in milliseconds since 1970; 0 if unknown.
        key: Its key; None if it has none.
        value: What it says; None for a tombstone.
        headers: Its headers in their order; a name may come twice.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def place(self) -> str:
        """Where it is: `orders/3/1017`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def identity(self) -> str:
        """What it is and no other record is.

        With its time: a topic that was deleted and made again begins at offset 0, and a record of
        it must not be taken for the one that stood there before.
        """
        place = self.place
        if len(self.topic) > MAX_TOPIC_CHARS:
            short = sha256(self.topic.encode()).hexdigest()[:32]
            place = f"{self.topic[:MAX_TOPIC_CHARS]}~{short}/{self.partition}/{self.offset}"
        return f"{place}@{self.timestamp_ms}"

    @property
    def timestamp(self) -> datetime:
        """When it was made, or appended, as the topic's configuration says."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)

    def header(self, name: str) -> bytes | None:
        """Return the last header of that name; None if there is none."""
        return next((value for each, value in reversed(self.headers) if each == name), None)


def published_id(record: Record) -> str:
    """Return the id of a record that a step has produced; copies of it have the same.

    For `consumes(..., key=published_id)`: one job a record of the producer's, however often the
    relay has published it.

    Raises:
        ValueError: It has none; another program wrote it.
    """
    found = record.header(ID_HEADER)
    if not found:
        raise ValueError(f"expected a record with the header {ID_HEADER}, got one without")
    return found.decode("ascii")
