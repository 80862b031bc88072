"""Short histories of jobs that ended well, for tests to put together and to doctor."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from failsoft.job_engine.invariants import History
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    AttemptRecord,
    HistoryEntry,
    JobRecord,
    StepKind,
    StepRecord,
)
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.job_engine.records.states import JobState
from tests.chaos.check_tests.sound_history import SECOND, event, instant
from tests.chaos.history.evidence import Case, Evidence, gather
from tests.chaos.history.timeline import RIGHT, STEADY, Timeline, marked
from tests.chaos.workload.business_table import Effect
from tests.chaos.workload.operations import OK, Operation
from tests.chaos.workload.script import Script
from tests.deployments.effect_log import ANSWERED, BEGUN, ENDED, Line

ENDS = {JobState.SUCCEEDED: "succeed", JobState.FAILED: "fail", JobState.CANCELLED: "stop"}
ERROR = ErrorRecord("tests.chaos.workload.steps.ScriptedError", "step-1")


class Story:
    """One job: dispatched, claimed once, and ended.

    Attributes:
        row: Its row, but for what the story fills in.
        lines: What the effect log saw.
        operations: What was requested of it.
        effects: The rows of its transactions.
    """

    def __init__(self, job_id: str, script: Script, name: str = "chaos-in-thread") -> None:
        self._script = script
        self.row = JobRecord(
            job_id, name, "chaos-threads", JobState.SUCCEEDED, "rq", 1, "", "sha", instant(1)
        )
        self._times = (1.0, 2.0, 3.0)
        self._steps: list[StepRecord] = []
        self.lines: list[Line] = []
        self.operations: list[Operation] = []
        self.effects: list[Effect] = []
        self._events: Sequence[HistoryEntry] | None = None
        self._mark = RIGHT

    def at(self, created: float, began: float, ended: float) -> "Story":
        """Say when it was dispatched, claimed and ended, in seconds."""
        self._times = (created, began, ended)
        return self

    def by(self, mark: int) -> "Story":
        """Let the ledger write all of it by a clock that is ahead or behind."""
        self._mark = mark
        return self

    def ends(self, state: JobState, **row: Any) -> "Story":
        """Say how it ended, and what else its row says."""
        self.row = replace(self.row, state=state, **row)
        return self

    def never_begins(self, state: JobState, kind: str, **detail: Any) -> "Story":
        """Let it end before any attempt, by an event."""
        _, _, ended = self._times
        actor = detail.pop("actor", "somebody")
        last = replace(event(2, ended, kind, state, epoch=0, **detail), actor=actor)
        created = event(1, self._times[0], "dispatch", JobState.SCHEDULED, epoch=0)
        self._events = [created, last]
        return self.ends(state)

    def begins(self, *moments: float, step: str = "step-1") -> "Story":
        """Let its step begin, and end at once."""
        for moment in moments:
            self.lines += [self._line(phase, step, moment) for phase in (BEGUN, ENDED)]
        return self

    def meets(self, step: str, what: str, moment: float) -> "Story":
        """Let a wait come to something."""
        self.lines.append(self._line(ANSWERED, step, moment, met=what))
        return self

    def records(self, step: str, kind: StepKind, moment: float) -> "Story":
        """Let a step be recorded."""
        self._steps.append(StepRecord(step, len(self._steps), kind, "1", 1, instant(moment)))
        return self

    def writes(self, step: str, attempt: int = 1) -> "Story":
        """Let a row be there."""
        self.effects.append(Effect(self.row.id, step, attempt))
        return self

    def requested(
        self, kind: str, invoked: float, returned: float | None = None, **other: Any
    ) -> "Story":
        """Add a request of it."""
        given: dict[str, Any] = {"op": f"op-{len(self.operations)}", "label": self._script.label}
        given |= other
        outcome: dict[str, Any] = {} if returned is None else {"outcome": OK, "job_id": self.row.id}
        ended = None if returned is None else int(returned * SECOND)
        times: dict[str, Any] = {"invoked": int(invoked * SECOND), "returned": ended}
        self.operations.append(
            Operation(actor="dispatcher-1", kind=kind, **times, **(outcome | given))
        )
        return self

    @property
    def case(self) -> Case:
        return evidence_of(self).cases[self.row.id]

    @property
    def history(self) -> History:
        """What the ledger keeps, with the times of its clock."""
        kept, ahead = self._kept(), marked(self._mark)
        moments = {
            name: moment + ahead
            for name in ("created_at", "finished_at", "expires_at")
            if (moment := getattr(kept.job, name)) is not None
        }
        events = [replace(each, at=each.at + ahead) for each in kept.events]
        attempts = [
            replace(each, started_at=each.started_at + ahead, ended_at=each.ended_at + ahead)
            for each in kept.attempts
            if each.ended_at is not None
        ]
        steps = [
            replace(each, recorded_at=each.recorded_at + ahead)
            for each in kept.steps
            if each.recorded_at is not None
        ]
        return History(replace(kept.job, **moments), events, attempts, steps)

    def _kept(self) -> History:
        created, began, ended = self._times
        row = replace(
            self.row,
            payload=self.row.payload or self._script.model_dump_json(),
            created_at=instant(created),
            finished_at=instant(ended) if self.row.state.is_terminal else None,
        )
        if self._events is not None:
            return History(row, self._events, [], [])
        kind = ENDS[row.state]
        events = [
            event(1, created, "dispatch", JobState.OFFERED, engine="rq"),
            event(2, began, "claim", JobState.RUNNING, engine="rq", claim="a"),
            event(3, ended, kind, row.state),
        ]
        attempts = [AttemptRecord(1, "a", "rq", "worker", instant(began), instant(ended), kind)]
        return History(row, events, attempts, self._steps)

    def _line(self, phase: str, step: str, moment: float, met: str = "") -> Line:
        at = int(moment * SECOND)
        return Line(phase, self.row.id, step, 1, "rq", "rq-threads", 1, at, met)


def evidence_of(
    *stories: Story, schedules: Sequence[ScheduleRecord] = (), time: Timeline = STEADY
) -> Evidence:
    """Put the evidence of some jobs together."""
    return gather(
        [story.history for story in stories],
        [operation for story in stories for operation in story.operations],
        [line for story in stories for line in story.lines],
        effects={story.row.id: story.effects for story in stories},
        schedules=schedules,
        time=time,
    )
