"""The request that enqueues a job of RQ's, made from a template: few fields differ between jobs.

RQ builds each job's hash anew, and redis-py packs its forty arguments in Python; together that
takes longer than Redis takes to carry the request out.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any

from pydantic_core import to_json
from rq import Queue
from rq.scripts import UNIQUE_ENQUEUE_SCRIPT

from failsoft.queue.safe_job import ENTRY_POINT, SafeJob, new_job, packed

#: The fields in which two jobs of one queue differ.
VARYING = ("data", "description", "created_at", "enqueued_at")

#: RQ's script by its digest, as Redis keeps it.
_BY_DIGEST = b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % (
    sha1(UNIQUE_ENQUEUE_SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()
)
#: The packed request that gives it to a Redis that does not have it. Not `EVAL`: the rights that
#: offers need do not include that (docs/explain/security.md).
LOAD_SCRIPT = b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%d\r\n%b\r\n" % (
    len(UNIQUE_ENQUEUE_SCRIPT.encode()),
    UNIQUE_ENQUEUE_SCRIPT.encode(),
)


class EnqueueTemplate:
    """The request that enqueues a job on one queue, but for what differs from job to job.

    Attributes:
        queue: The queue.
    """

    def __init__(self, queue: Queue) -> None:
        """Read from a job of the installed RQ what all of them have."""
        self.queue: Queue = queue
        fields = new_job("any", {}, queue).to_dict()
        fixed = {
            name: value
            for name, value in fields.items()
            if value is not None and name not in VARYING
        }
        self._key = SafeJob.key_for("").encode()
        self._queue_key = _bulk(queue.key.encode())
        # RQ's arguments: the id, the end of the list, no time to live, then the fields.
        arguments = 3 + 2 * (len(fixed) + len(VARYING))
        self._head = b"*%d\r\n" % (2 + 1 + 2 + arguments)
        no_ttl = b"".join(_bulk(each) for each in (b"R", b"-1"))
        pairs = (_bulk(name.encode()) + _bulk(_sent(value)) for name, value in fixed.items())
        self._fixed = no_ttl + b"".join(pairs)

    def request(self, message_id: str, wire: Mapping[str, Any]) -> bytes:
        """Return the packed request that does what RQ's `save_unique_job` does.

        Args:
            message_id: The id of RQ's job.
            wire: The message that it carries.
        """
        own_id, moment = _bulk(message_id.encode()), _bulk(_moment())
        data = to_json((ENTRY_POINT, None, [wire], {}))
        return b"".join(
            (
                self._head,
                _BY_DIGEST,
                b"$1\r\n2\r\n",
                _bulk(self._key + message_id.encode()),
                self._queue_key,
                own_id,
                self._fixed,
                b"$4\r\ndata\r\n",
                _bulk(packed(data)),
                b"$11\r\ndescription\r\n",
                own_id,
                b"$10\r\ncreated_at\r\n",
                moment,
                b"$11\r\nenqueued_at\r\n",
                moment,
            )
        )


def _moment() -> bytes:
    # As RQ writes it by `strftime`, which takes five times as long.
    return datetime.now(UTC).isoformat(timespec="microseconds").encode()[:-6] + b"Z"


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _sent(value: object) -> bytes:
    # RQ's status is a text whose `str` is another: no worker understands "JobStatus.QUEUED".
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else str(value)).encode()
