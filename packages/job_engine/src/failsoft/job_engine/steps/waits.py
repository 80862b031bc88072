"""Steps that wait: for an event, or for the end of a job that they invoke."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from failsoft.job_engine.attempt.interrupts import Suspended
from failsoft.job_engine.declaration import follow_ups_of
from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    EventTimeoutError,
    InvokeDepthError,
    JobCancelledError,
    JobFailedError,
)
from failsoft.job_engine.policies.uniqueness import Debounce, Identity
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.waits import (
    MAX_KEY_CHARS,
    MAX_NAME_CHARS,
    Wait,
    end_topic,
    event_topic,
)
from failsoft.job_engine.steps.journal import Journal, refusal
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.canonical import digest
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, Result, encode_payload

P = TypeVar("P", bound=BaseModel)

#: How deep jobs may invoke one another.
MAX_DEPTH = 16
_KINDS = frozenset({StepKind.WAIT, StepKind.ANSWERED})


class WaitSteps:
    """The steps of one attempt that wait and hold no worker."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def event(
        self, name: str, event: str, key: str | None, timeout: timedelta | None
    ) -> dict[str, Any]:
        """Return what the step met: an event, or that its time was up.

        Raises:
            Suspended: Nothing yet.
        """
        expect = Expect(refusal, f"event {event!r}: ")
        expect.text("a name", event, most=MAX_NAME_CHARS)
        if key is not None:
            expect.text("a key", key, most=MAX_KEY_CHARS)
        if timeout is not None:
            expect.span("a timeout", timeout)
        job_id = self._journal.claim.job_id
        topic = event_topic(event, job_id=job_id) if key is None else event_topic(event, key=key)
        return self._meet(name, Wait(topic, timeout, event=event, key=key), None)

    def job(self, name: str, definition: Any, payload: BaseModel) -> dict[str, Any]:
        """Return how the job ended that the step invokes.

        Raises:
            Suspended: It has not.
        """
        claim = self._journal.claim
        if claim.depth + 1 > MAX_DEPTH:
            raise InvokeDepthError(
                f"step {name!r}: expected jobs that invoke one another at most {MAX_DEPTH} deep, "
                f"got one deeper; check whether {definition.name!r} invokes itself"
            )
        # A job that goes on with another's work goes on with the job that one invoked.
        child = child_job(f"{claim.idempotency_root or claim.job_id}:{name}", definition, payload)
        child = replace(child, trace_context=claim.trace_context)
        return self._meet(name, Wait(end_topic(child.id), None, child.id), child)

    def _meet(self, name: str, wait: Wait, child: NewJob | None) -> dict[str, Any]:
        found = self._journal.begin(name, _KINDS)
        if found is None or found.kind is StepKind.WAIT:
            step = found or self._journal.step(name, StepKind.WAIT, _note(wait))
            # An event may be there already; a job that is not recorded yet cannot have ended.
            may_be_met = found is not None or child is None
            met = self._journal.receive(step, wait) if may_be_met else None
            if met is None:
                suspended = Suspended(step, wait.pause, None)
                suspended.wait, suspended.child = wait, child
                raise suspended
            found = met
        self._journal.leave(name)
        answer: dict[str, Any] = json.loads(found.result)
        return answer


def child_job(seed: str, definition: Any, payload: BaseModel) -> NewJob:
    """Return the job that a step invokes; its id is the same in every attempt."""
    Expect(refusal).value(
        not isinstance(definition.identity, Debounce),
        "a job to invoke without debounce",
        definition.name,
        "the payload that it runs with in the end may be another dispatch's",
    )
    identity: Identity | None = definition.identity
    text = encode_payload(payload, definition.payload_type, MAX_PAYLOAD_BYTES)
    return NewJob(
        id=hashlib.sha256(seed.encode()).hexdigest()[:32],
        name=definition.name,
        queue=definition.queue.name,
        payload=text,
        payload_sha=digest(text),
        delay=timedelta(0),
        priority=definition.priority,
        engines=definition.engines,
        tags=definition.tags,
        limits=definition.limits(payload),
        version=definition.version,
        unique=None if identity is None else identity.key(payload),
        follow_ups=follow_ups_of(definition).text,
    )


def payload_of(event: str, answer: dict[str, Any], result: Result[Any], *, raises: bool) -> Any:
    """Return what an event says, or None if none came in time.

    Raises:
        EventTimeoutError: None came in time, and `raises` is set.
    """
    if answer.get("timeout"):
        if raises:
            raise EventTimeoutError(f"expected event {event!r} in time, got none")
        return None
    return result.decode(json.dumps(answer["payload"]))


def result_of_child(answer: dict[str, Any], result: Result[Any]) -> Any:
    """Return the result of an invoked job.

    Raises:
        JobFailedError: If it failed.
        JobCancelledError: If it was cancelled.
        DuplicateDispatchError: If it was not recorded, for another job holds its key.
    """
    if "taken_by" in answer:
        raise DuplicateDispatchError(
            f"expected a free unique key for the job to invoke, got that of job "
            f"{answer['taken_by']}; its result would be that of another payload: wait and invoke "
            "again in a step of another name, or go on without"
        )
    if answer["state"] == "succeeded":
        return result.decode(answer["result"] or "null")
    if answer["state"] == "cancelled":
        raise JobCancelledError(f"job {answer['job']} was cancelled and has no result")
    error = answer["error"] or {"type": "unknown", "message": "", "traceback": ""}
    raise JobFailedError(answer["job"], error["type"], error["message"], error["traceback"])


def _note(wait: Wait) -> str:
    seconds = None if wait.timeout is None else wait.timeout.total_seconds()
    # The topic is a hash: what it is of is kept for people.
    named = {"event": wait.event, "key": wait.key} if wait.event is not None else {}
    return json.dumps({"timeout_s": seconds, "job": wait.child_id, **named})
