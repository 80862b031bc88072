"""What a job may wait for without a worker: an event, or another job's end."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

#: How long a sent event is kept for jobs that do not wait for it yet, unless it says otherwise.
KEEP_EVENTS = timedelta(days=7)
#: A waiting job looks again by itself this often, in case of a ledger that was restored.
LOOK_AGAIN = timedelta(days=1)
#: The longest name of an event.
MAX_NAME_CHARS = 128
#: The longest key of an event.
MAX_KEY_CHARS = 255
#: The event in the history of a job that is woken before its time.
WAKE = "wake"


@dataclass(frozen=True, slots=True)
class Wait:
    """What a step waits for.

    Attributes:
        topic: What it is addressed to, as the ledger's index has it.
        timeout: How long it waits at most, from when it began; None waits for ever.
        child_id: The job whose end it waits for; None for an event.
        event: The name of the event, for people; None for a job.
        key: The key that the event is sent under; None where it is sent to the job itself.
    """

    topic: str
    timeout: timedelta | None = None
    child_id: str | None = None
    event: str | None = None
    key: str | None = None

    @property
    def pause(self) -> timedelta:
        """Return how long the job sleeps unless it is woken."""
        return LOOK_AGAIN if self.timeout is None else min(self.timeout, LOOK_AGAIN)


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event about to be kept.

    Attributes:
        id: Sending the same id again is harmless.
        topic: What it is addressed to.
        name: Its name, for people.
        payload: What it says, as JSON.
        keep: How long it is kept for a job that waits for it.
    """

    id: str
    topic: str
    name: str
    payload: str
    keep: timedelta = KEEP_EVENTS


def event_topic(name: str, *, job_id: str | None = None, key: str | None = None) -> str:
    """Return the topic of events of a name for one job, or for all that wait under a key."""
    return _topic("event", name, "job" if key is None else "key", job_id if key is None else key)


def end_topic(job_id: str) -> str:
    """Return the topic of a job's end."""
    return _topic("end", job_id)


def key_taken(child_id: str, holder_id: str) -> dict[str, Any]:
    """Return what a step is answered whose job was not recorded: another one holds its key."""
    return {"job": child_id, "taken_by": holder_id}


def waker(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the event of a wake-up keeps of the answer: what came, and not what it says."""
    if "id" in answer:
        return {"event": answer["id"]}
    return {name: answer[name] for name in ("job", "state", "taken_by") if name in answer}


def _topic(*parts: str | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
