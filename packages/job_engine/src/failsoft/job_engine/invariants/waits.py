"""What must be true of a job that waits for an event or another job's end, and of what it received.

The transaction that sends what a job waits for wakes it, and the one that suspends the job looks
once more: of the two, one sees the other. A job that was
offered since is not judged: it looks again by itself, or comes back because no engine took it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from failsoft.job_engine.invariants.history import Violation
from failsoft.job_engine.records.job import StepKind, StepRecord
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.records.waits import end_topic
from failsoft.job_engine.values.canonical import digest

WHO_AWAITS = "only a job that waits for its time awaits anything, in a step of its own"
WAKES = "a job that awaits what has come is woken"
RECEIVED = "an event is received once, and met by one step"

_WAITS = (JobState.SCHEDULED, JobState.OFFERED)


@dataclass(frozen=True, slots=True)
class Met:
    """What the record of a step says that waits, or that has met what it waited for.

    Attributes:
        child_id: The job that it invoked.
        event_id: The event that it received.
        state: How the invoked job ended.
        result_sha: SHA-256 of the result that it received.
        has_end: Whether it received an end that is recorded.
    """

    job_id: str
    step: str
    kind: StepKind
    epoch: int
    child_id: str | None = None
    event_id: str | None = None
    state: str | None = None
    result_sha: str | None = None
    has_end: bool = False


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A job that awaits a topic.

    Attributes:
        run_at: When it looks again by itself.
        is_suspended: Whether it was suspended last, and not offered since.
        steps: Its steps that wait.
        child: The state of the job that they invoked; None if there is none, or it is gone.
        missed: An event of the topic that was there in time and that it has not received.
    """

    job_id: str
    state: JobState
    topic: str
    run_at: datetime | None
    is_suspended: bool
    steps: Sequence[Met]
    child: JobState | None
    missed: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """What a job has received.

    Attributes:
        receipts: The events, as the ledger has noted them.
        steps: Its steps that have met something.
    """

    job_id: str
    receipts: Sequence[str]
    steps: Sequence[Met]


def met_from(job_id: str, step: StepRecord) -> Met:
    """Read what the ledger keeps of a step that waits, or has.

    Raises:
        ValueError: It is nothing that such a step could have recorded.
    """
    met = json.loads(step.result)
    if not isinstance(met, dict):
        expected = "a JSON object of a step that waits"
        raise ValueError(f"expected {expected}, got {step.result!r}")  # noqa: TRY004 - of a row
    result, error = met.get("result"), met.get("error") or {}
    return Met(
        job_id,
        step.name,
        step.kind,
        step.epoch,
        child_id=met.get("job"),
        event_id=met.get("id"),
        state=met.get("state"),
        result_sha=None if result is None else digest(result),
        has_end="state" in met and error.get("type") != "JobNotFoundError",
    )


def awaits_in_vain(awaiting: Awaiting) -> Iterator[Violation]:
    """Find a job that awaits what it cannot, or what has come already."""
    waits = [step for step in awaiting.steps if step.kind is StepKind.WAIT]
    if awaiting.state not in _WAITS or not waits:
        found = f"it is {awaiting.state}, and {len(waits)} of its steps wait"
        yield Violation(awaiting.job_id, "waits", WHO_AWAITS, found)
        return
    if not awaiting.is_suspended or awaiting.state is not JobState.SCHEDULED:
        return
    children = [each.child_id for each in waits if each.child_id is not None]
    for child in (each for each in children if end_topic(each) == awaiting.topic):
        if awaiting.child is None or awaiting.child.is_terminal:
            found = f"job {child} is {awaiting.child or 'not there'}, it looks at {awaiting.run_at}"
            yield Violation(awaiting.job_id, "waits", WAKES, found)
    if awaiting.missed is not None:
        found = f"event {awaiting.missed} is there, it looks at {awaiting.run_at}"
        yield Violation(awaiting.job_id, "waits", WAKES, found)


def received_otherwise(received: Received) -> Iterator[Violation]:
    """Find events that a job received twice, or without a receipt, or with one and without a step.

    A step of epoch 0 was copied from the job whose work this one does again, and its receipt with
    it; before there were those, it had none.
    """
    met = Counter(step.event_id for step in received.steps if step.event_id)
    mine = {step.event_id for step in received.steps if step.epoch}
    noted = Counter(received.receipts)
    for event in sorted(met.keys() | noted.keys()):
        copied = event not in mine and not noted[event]
        if met[event] != 1 or (noted[event] != 1 and not copied):
            found = f"event {event}: {met[event]} steps have met it, {noted[event]} receipts"
            yield Violation(received.job_id, "events", RECEIVED, found)
