"""The RQ jobs of Failsoft: whatever stands in Redis, it leads to a message of ours or to nothing.

RQ imports and calls any function that a job in Redis names, with the JSON serializer too
(RQ-17). Here a worker reads the data of a job by `message_of` and calls its own processor; what RQ
itself reads of it, for its registries, is a `SafeJob`, which calls nothing: callbacks, webhooks,
dependencies, retries and repeats that others wrote into the job are dropped when it is read.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from redis.exceptions import ResponseError
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.serializers import JSONSerializer

from failsoft.engine_api import MessageRejectedError
from failsoft.queue.bounded_replies import ReplyTooLargeError

#: The only function name that a job may carry.
ENTRY_POINT = "failsoft.queue.entry_point.perform"
#: A job of ours is a few hundred bytes; more than this is not read at all.
MAX_DATA_BYTES = 4096
#: No job of ours is longer, in bytes of all its fields.
MAX_JOB_BYTES = 4 * MAX_DATA_BYTES
TOO_LARGE = f"expected a job of at most {MAX_JOB_BYTES} bytes, got a larger one"
#: Seconds a refused or failed job stays visible in RQ's registry; the truth is in the ledger.
FAILURE_TTL = 60

_OURS = frozenset(
    name.encode()
    for name in (
        *("created_at", "enqueued_at", "started_at", "last_heartbeat", "ended_at"),
        *("origin", "status", "worker_name", "description"),
    )
)

_FIELDS = (b"data", *sorted(_OURS))
#: zlib's header, and that of one block, the last, which is stored as it is.
_UNCOMPRESSED = b"\x78\x01\x01"

#: Reads the sizes before the values: what is too large does not even leave Redis.
_READ = """
local size = 0
for i = 2, #ARGV do
    size = size + redis.call('HSTRLEN', KEYS[1], ARGV[i])
end
if size > tonumber(ARGV[1]) then
    return size
end
return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
"""


def message_of(data: bytes) -> object:
    """Return the message in the data of a job.

    Raises:
        MessageRejectedError: If the data is not a call of our entry point with one argument.
    """
    try:
        name, instance, args, kwargs = json.loads(_bounded(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise MessageRejectedError("expected a job of ours, got something else") from error
    if name != ENTRY_POINT or instance is not None or kwargs != {}:
        raise MessageRejectedError("expected a job that calls our entry point, got another")
    if not isinstance(args, list) or len(args) != 1:
        raise MessageRejectedError("expected a job with one argument, got another")
    return args[0]


def packed(data: bytes) -> bytes:
    """Return the data of a job as RQ unpacks it: what zlib makes of it at its level 0.

    To compress takes longer than all else that a request is made of, for a hundred bytes a job.

    Args:
        data: At most 65,535 bytes.
    """
    size = len(data)
    return b"".join(
        (
            _UNCOMPRESSED,
            size.to_bytes(2, "little"),
            (size ^ 0xFFFF).to_bytes(2, "little"),
            data,
            zlib.adler32(data).to_bytes(4, "big"),
        )
    )


class SafeJob(Job):
    """A job as RQ reads it, of which nothing is called."""

    @property
    def func(self) -> Callable[..., NoReturn]:
        """Refuse: RQ would import what the job names.

        Raises:
            MessageRejectedError: Always.
        """
        raise MessageRejectedError("expected `failsoft worker rq` to run this, got another")

    def refresh(self) -> None:
        """Read the job from Redis: only the fields that are ours, and no more than is ours.

        Raises:
            NoSuchJobError: If there is none.
            MessageRejectedError: If it is larger than any job of ours; it was not read.
        """
        read = self.connection.register_script(_READ)
        try:
            found: Any = read([self.key], [MAX_JOB_BYTES, *_FIELDS])
        except ResponseError as error:
            # What stands there is no hash.
            raise NoSuchJobError(f"No such job: {self.key}") from error
        except ReplyTooLargeError as error:
            raise MessageRejectedError(TOO_LARGE) from error
        if isinstance(found, int):
            raise MessageRejectedError(TOO_LARGE)
        fields = {
            name: value for name, value in zip(_FIELDS, found, strict=True) if value is not None
        }
        if not fields:
            raise NoSuchJobError(f"No such job: {self.key}")
        self.restore(fields)

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read the few fields that are ours; the rest is as if it had not been sent."""
        fields = {name: raw_data[name] for name in _OURS if name in raw_data}
        # Packed anew: RQ unpacks without a bound what was packed twice.
        super().restore(fields | {b"data": packed(_bounded(raw_data.get(b"data")))})
        self.timeout: float | None = -1
        self.result_ttl: int | None = 0
        self.failure_ttl: int | None = FAILURE_TTL

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Send none."""


def new_job(message_id: str, wire: Mapping[str, Any], queue: Queue) -> SafeJob:
    """Return the RQ job that carries a message (rule 15): no retry, no result, no callback.

    It is ready to be saved and pushed to the queue as it is.
    """
    job = SafeJob.create(
        ENTRY_POINT,
        args=[dict(wire)],
        id=message_id,
        connection=queue.connection,
        status=JobStatus.QUEUED,
        origin=queue.name,
        timeout=-1,
        result_ttl=0,
        failure_ttl=FAILURE_TTL,
        description=message_id,
        serializer=JSONSerializer,
    )
    assert isinstance(job, SafeJob)  # noqa: S101 - RQ's annotation forgets the subclass
    job.enqueued_at = job.created_at
    return job


def _bounded(data: bytes | None) -> bytes:
    if data is None:
        raise NoSuchJobError("expected a job with data, got none")
    if len(data) > MAX_DATA_BYTES:
        return b"[]"
    unzip = zlib.decompressobj()
    try:
        text = unzip.decompress(data, MAX_DATA_BYTES)
    except zlib.error:
        return data
    return b"[]" if unzip.unconsumed_tail else text
