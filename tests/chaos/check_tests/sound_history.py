"""A history in which everything is right, for tests to doctor."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from failsoft.job_engine.invariants import History
from failsoft.job_engine.records.job import (
    AttemptRecord,
    HistoryEntry,
    JobRecord,
    StepKind,
    StepRecord,
)
from failsoft.job_engine.records.states import JobState
from tests.chaos.faults.schedule import Fired
from tests.chaos.history.evidence import Case, Evidence, gather
from tests.chaos.history.timeline import EPOCH
from tests.chaos.workload.operations import DISPATCH, OK, Operation
from tests.chaos.workload.script import Script
from tests.deployments.effect_log import BEGUN, ENDED, Line

JOB, LABEL = "job-1", "dispatcher-1-1-1"
SECOND = 1_000_000
SCRIPT = Script(label=LABEL, paces=[0.0, 0.0])


def instant(seconds: float) -> Any:
    """The ledger's moment of so many seconds on the monotonic clock."""
    return EPOCH + timedelta(seconds=seconds)


def event(
    n: int, at: float, kind: str, state: JobState, *, epoch: int = 1, **detail: Any
) -> HistoryEntry:
    return HistoryEntry(JOB, n, instant(at), "actor", kind, state, epoch, detail)


def line(phase: str, step: str, attempt: int, at: float, **other: Any) -> Line:
    engine = "rq" if attempt == 1 else "dramatiq"
    usual = Line(phase, JOB, step, attempt, engine, f"{engine}-threads", attempt, int(at * SECOND))
    return replace(usual, **other)


def operation(kind: str, invoked: float, returned: float | None, **other: Any) -> Operation:
    ended = None if returned is None else int(returned * SECOND)
    usual = Operation("op", "dispatcher-1", kind, LABEL, int(invoked * SECOND), ended)
    outcome = {"outcome": OK, "job_id": JOB} if returned is not None else {}
    return replace(usual, **{**outcome, **other})


def strike(kind: str, detail: str | None, at: float = 3) -> Fired:
    """What befell a process for half a second; at 3 the first attempt is at work."""
    return Fired(kind, detail, int(at * SECOND), int((at + 0.5) * SECOND))


#: Dispatched at 1 to RQ, whose worker was lost in step-2 at 4; Dramatiq went on at 5.
EVENTS = (
    event(1, 1.0, "dispatch", JobState.OFFERED, engine="rq"),
    event(2, 2.0, "claim", JobState.RUNNING, engine="rq", claim="a"),
    event(3, 4.0, "recover", JobState.OFFERED, epoch=2, engine="dramatiq"),
    event(4, 5.0, "claim", JobState.RUNNING, epoch=2, engine="dramatiq", claim="b"),
    event(5, 7.0, "succeed", JobState.SUCCEEDED, epoch=2),
)
ATTEMPTS = (
    AttemptRecord(1, "a", "rq", "worker-1", instant(2), instant(4), "recover"),
    AttemptRecord(2, "b", "dramatiq", "worker-2", instant(5), instant(7), "succeed"),
)
STEPS = (
    StepRecord("step-1", 0, StepKind.RUN, "1", 1, instant(2.6)),
    StepRecord("step-2", 1, StepKind.RUN, "2", 2, instant(6.6)),
)
#: The process of each worker.
WORKERS = {"worker-1": "rq-threads", "worker-2": "dramatiq-threads"}
LINES = (
    line(BEGUN, "step-1", 1, 2.1),
    line(ENDED, "step-1", 1, 2.5),
    line(BEGUN, "step-2", 1, 2.7),
    line(BEGUN, "step-2", 2, 6.0),
    line(ENDED, "step-2", 2, 6.5),
)
OPERATIONS = (
    operation(DISPATCH, 0.5, 1.5, answer={"created": True}),
    operation("read", 2.2, 2.4, answer={"state": "running", "epoch": 1}),
)
ROW = JobRecord(
    JOB,
    "chaos-in-thread",
    "chaos-threads",
    JobState.SUCCEEDED,
    "dramatiq",
    2,
    SCRIPT.model_dump_json(),
    "sha",
    instant(1),
    claims=2,
    crashes=1,
    handoffs=1,
    result="2",
    finished_at=instant(7),
)


def history(**changed: Any) -> History:
    """The history with some of its parts, or columns of its row, changed."""
    parts = {"events": EVENTS, "attempts": ATTEMPTS, "steps": STEPS}
    row = {name: value for name, value in changed.items() if name not in parts}
    kept = {name: changed.get(name, usual) for name, usual in parts.items()}
    return History(replace(ROW, **row), **kept)


def evidence(
    lines: Sequence[Line] = LINES, operations: Sequence[Operation] = OPERATIONS, **changed: Any
) -> Evidence:
    freezes = changed.pop("freezes", ())
    whole = gather([history(**changed)], operations, lines, freezes=freezes)
    return replace(whole, strikes=[strike("kill rq", "rq-threads")], workers=WORKERS)


def case(
    lines: Sequence[Line] = LINES, operations: Sequence[Operation] = OPERATIONS, **changed: Any
) -> Case:
    return evidence(lines, operations, **changed).cases[JOB]
