"""Reading the lists of a Redis, in pieces and never what is larger than it may be."""

from collections.abc import Iterator, Sequence
from typing import Any

#: How many elements of a list are read, the newest.
MOST = 10_000

_AT_ONCE = 500


def newest(client: Any, key: str) -> Iterator[Sequence[bytes]]:
    """Yield the newest elements of a list, some at a time.

    Raises:
        RedisError: If Redis does not answer.
    """
    ids: Sequence[bytes] = client.lrange(key, -MOST, -1)
    for first in range(0, len(ids), _AT_ONCE):
        yield ids[first : first + _AT_ONCE]


def small_fields(
    client: Any, fields: Sequence[tuple[str, bytes]], most: int
) -> Sequence[tuple[str, bytes]]:
    """Return the fields that are there and no longer than that: the size is asked for first."""
    with client.pipeline(transaction=False) as pipeline:
        for key, field in fields:
            pipeline.hstrlen(key, field.decode(errors="replace"))
        sizes = pipeline.execute()
    return [field for field, size in zip(fields, sizes, strict=True) if 0 < size <= most]
