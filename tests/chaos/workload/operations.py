"""What the dispatchers requested of the system and were answered: the acknowledgement log."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deployments.effect_log import append, now, records

INVOKE = "invoke"
#: How an operation ended: done, certainly not done, or unknown.
OK, FAIL, INFO = "ok", "fail", "info"

DISPATCH, CONFLICT, UNIQUE = "dispatch", "conflict", "unique"
CANCEL, READ, SEND = "cancel", "read", "send"
#: What a dispatcher notes of an error of its own.
BROKEN = "broken"
#: What can make a job.
ASKS_FOR_A_JOB = (DISPATCH, CONFLICT, UNIQUE)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of a dispatcher, from its call to its answer.

    Attributes:
        kind: `dispatch`; `conflict`, a dispatch under a key that stands for other work; `unique`,
            one that may find the job of another label; `cancel`; `read`; `send`, of an event
            that has the operation's name.
        label: The label of the script.
        invoked: When it was called, in microseconds of the monotonic clock.
        returned: When it was answered; None if its process died first.
        outcome: `ok`, `fail` or `info`; `info` too if it was never answered.
        job_id: The job, where it is known.
        answer: What else was answered.
    """

    op: str
    actor: str
    kind: str
    label: str
    invoked: int
    returned: int | None = None
    outcome: str = INFO
    job_id: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)


class OperationLog:
    """Writes down the operations of one dispatcher process as they happen."""

    def __init__(self, path: Path, actor: str, boot: str) -> None:
        self._path = path
        self._actor = actor
        self._boot = boot

    def invoke(self, number: str, kind: str, label: str, job_id: str | None = None) -> str:
        """Write that an operation is about to be requested; return its name."""
        op = f"{self._actor}-{self._boot}-{number}"
        fields = {"actor": self._actor, "kind": kind, "label": label, "job_id": job_id}
        append(self._path, {"op": op, "phase": INVOKE, "at": now(), **fields})
        return op

    def answer(self, op: str, outcome: str, job_id: str | None = None, **answer: Any) -> None:
        """Write what the answer was."""
        fields = {"job_id": job_id, "answer": answer}
        append(self._path, {"op": op, "phase": outcome, "at": now(), **fields})


def operations(paths: Iterable[Path]) -> list[Operation]:
    """Read logs; an operation without an answer is one whose outcome is unknown."""
    invoked: dict[str, dict[str, Any]] = {}
    answered: dict[str, dict[str, Any]] = {}
    for path in paths:
        for record in records(path):
            (invoked if record["phase"] == INVOKE else answered)[record["op"]] = record
    return [_operation(call, answered.get(op)) for op, call in invoked.items()]


def _operation(call: dict[str, Any], reply: dict[str, Any] | None) -> Operation:
    known = (call["op"], call["actor"], call["kind"], call["label"], call["at"])
    if reply is None:
        return Operation(*known, job_id=call["job_id"])
    job_id = reply["job_id"] or call["job_id"]
    return Operation(*known, reply["at"], reply["phase"], job_id, reply["answer"])
