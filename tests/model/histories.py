"""A trace of the model as the history that the product's ledger would keep of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
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
from tests.model.model import Edge, Model
from tests.model.participants import Row
from tests.model.rules import SLEEP
from tests.model.traces import ENGINES, Moment

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
JOB = "job"


def history_of(model: Model, trace: Sequence[Moment]) -> History:
    """Return what the ledger keeps after a trace."""
    first = model.initial().row
    recorder = _Recorder(model)
    recorder.dispatch(first)
    for moment in trace:
        recorder.note(moment)
    row = trace[-1].edge.state.row if trace else first
    return recorder.history(row)


@dataclass
class _Recorder:
    """Keeps of a trace what the product's ledger keeps."""

    model: Model
    events: list[HistoryEntry] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    claims: dict[int, str] = field(default_factory=dict)
    now: datetime = START

    def dispatch(self, row: Row) -> None:
        """Begin with the dispatch."""
        offered = row.state is JobState.OFFERED
        detail = {"engine": ENGINES[row.engine]} if offered else {}
        first = HistoryEntry(JOB, 1, START, "dispatcher", "dispatch", row.state, row.epoch, detail)
        self.events.append(first)

    def history(self, row: Row) -> History:
        """Return what was kept, beside the row as it is in the end."""
        return History(self._job(row), self.events, self.attempts, self.steps)

    def _job(self, row: Row) -> JobRecord:
        engines = [event.detail["engine"] for event in self._offers()]
        moves = sum(one != other for one, other in pairwise(engines))
        at = self.now
        return JobRecord(
            id=JOB,
            name=JOB,
            queue="default",
            state=row.state,
            epoch=row.epoch,
            revision=0,
            engine=engines[-1] if engines else None,
            payload="",
            payload_sha="",
            idempotency_key=None,
            priority=0,
            engines=(),
            tags=(),
            claims=len(self.attempts),
            errors=row.errors,
            crashes=row.crashes,
            releases=row.releases,
            handoffs=moves,
            pickups_missed=0,
            cancel_requested=row.cancel_requested,
            result="" if row.state is JobState.SUCCEEDED else None,
            error=None,
            created_at=START,
            run_at=at if row.state is JobState.SCHEDULED else None,
            pickup_by=at if row.state is JobState.OFFERED else None,
            lease_until=at if row.state is JobState.RUNNING else None,
            started_at=None,
            finished_at=at if row.state.is_terminal else None,
        )

    def _offers(self) -> Iterator[HistoryEntry]:
        for event in self.events:
            if event.state is JobState.OFFERED and "engine" in event.detail:
                yield event

    def note(self, moment: Moment) -> None:
        """Keep what one action left in the ledger."""
        edge, self.now = moment.edge, self.now + SECOND
        if edge.what in self.model.protocol.table:
            self._note_change(moment)
        elif edge.what == "cancel_request":
            self._append(edge, "client", {})
        elif edge.what == "record":
            self._note_step(moment)

    def _note_change(self, moment: Moment) -> None:
        edge, before = moment.edge, moment.before
        if edge.what == "claim":
            self._note_claim(edge)
        elif edge.what == "resume":
            self._note_resumed(moment)
        elif edge.who == "worker":
            if edge.what == "suspend":
                self._note_step(moment)
            self._append(edge, self.claims[edge.number], {})
        else:
            engine = ENGINES[edge.state.row.engine]
            offers = edge.state.row.state is JobState.OFFERED
            self._append(edge, f"{edge.who} {edge.number}", {"engine": engine} if offers else {})
        if self.model.protocol.table[edge.what].ends_attempt:
            self._end_attempt(before.row.epoch, edge.what)

    def _note_claim(self, edge: Edge) -> None:
        worker, row = edge.state.workers[edge.number], edge.state.row
        claim_id = f"claim {len(self.attempts)}"
        self.claims[edge.number] = f"worker {edge.number}, {claim_id}"
        engine = ENGINES[worker.engine]
        self._append(edge, self.claims[edge.number], {"claim": claim_id, "engine": engine})
        actor = self.claims[edge.number]
        attempt = AttemptRecord(row.epoch, claim_id, engine, actor, self.now, None, None)
        self.attempts.append(attempt)

    def _note_resumed(self, moment: Moment) -> None:
        before, after = moment.before.row.memos, moment.edge.state.row.memos
        done = [
            place for place in range(len(self.model.config.steps)) if (after & ~before) >> place & 1
        ]
        for place in done:
            self.steps.append(StepRecord(f"step {place}", place, StepKind.ONCE, "", 0, self.now))
        self._append(moment.edge, "client", {"done": [f"step {place}" for place in done]})

    def _note_step(self, moment: Moment) -> None:
        worker = moment.before.workers[moment.edge.number]
        kind = StepKind.SLEEP if self.model.config.steps[worker.step] == SLEEP else StepKind.RUN
        if not moment.before.row.memos & 1 << worker.step:
            name = f"step {worker.step}"
            step = StepRecord(name, worker.step, kind, "", worker.epoch, self.now)
            self.steps.append(step)

    def _end_attempt(self, epoch: int, outcome: str) -> None:
        for place, attempt in enumerate(self.attempts):
            if attempt.epoch == epoch:
                self.attempts[place] = replace(attempt, ended_at=self.now, outcome=outcome)

    def _append(self, edge: Edge, actor: str, detail: dict[str, Any]) -> None:
        row, n = edge.state.row, len(self.events) + 1
        event = HistoryEntry(JOB, n, self.now, actor, edge.what, row.state, row.epoch, detail)
        self.events.append(event)
