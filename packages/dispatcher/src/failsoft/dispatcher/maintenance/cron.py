"""The cron scheduler: any number of them, no leader, fires the ticks of the schedules.

A process fires only what it declares itself, and only while the ledger holds the same spec. A
compare-and-set on the schedule's next tick, in one transaction with the job, fires each tick once.
"""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import BaseModel

from failsoft.dispatcher.options.options import new_job
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.policies.schedule import Schedule
from failsoft.job_engine.ports.clock import ClockWatch
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.schedules import (
    SET_BACK,
    ScheduleDeclaration,
    ScheduleLedger,
    ScheduleRecord,
    Tick,
    TickOutcome,
    tick_id,
    tick_key,
)
from failsoft.job_engine.telemetry import Event, Listener
from failsoft.job_engine.tracing import traced, tracer
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_payload

#: How often a process declares its schedules to the ledger.
DECLARE_EVERY = timedelta(seconds=20)
#: A tick that is found later than this was missed, and the policy decides.
LATENESS = timedelta(minutes=1)
#: The most missed ticks that `missed="all"` fires.
MOST_MISSED = 1000
#: How many ticks of a schedule one look takes.
BATCH = 100
#: How many former specs the ledger keeps of a schedule.
MOST_FORMER = 20


class CronScheduler:
    """Declare the schedules of this process's jobs, and fire what is due."""

    def __init__(
        self,
        ledger: ScheduleLedger,
        definitions: Iterable[AnyDefinition],
        *,
        clock: Clock,
        listener: Listener,
        rng: random.Random | None = None,
    ) -> None:
        """Work beside any number of others, of this version of the code and of others.

        The definitions are read at every look: a program may go on defining jobs.
        """
        self._ledger = ledger
        self._definitions = definitions
        self._jobs: dict[str, AnyDefinition] = {}
        self._specs: dict[str, str] = {}
        self._clock = clock
        self._listener = listener
        self._rng = rng or random.Random()
        self._declared: float | None = None
        self._watch = ClockWatch(clock)

    def tick(self) -> int:
        """Look once; return how many ticks were fired.

        Raises:
            LedgerUnavailableError: The ledger is away.
        """
        self._read_definitions()
        if not self._jobs:
            return 0
        now, records = self._ledger.schedules()
        if not self._watch.look(now):
            # The ledger's clock was set, perhaps for a moment: nothing is late by it yet.
            self._confirm()
            return 0
        if self._is_time_to_declare():
            self._declare(now, {record.name: record for record in records})
            now, records = self._ledger.schedules()
        if self._set_back(now, records):
            now, records = self._ledger.schedules()
        due = [each for each in records if each.next_at <= now and not each.paused]
        return sum(self._fire_all(each) for each in due if self._specs.get(each.name) == each.spec)

    def _read_definitions(self) -> None:
        jobs = {job.name: job for job in self._definitions if job.schedule is not None}
        if jobs != self._jobs:
            self._jobs = jobs
            self._specs = {name: spec_of(job) for name, job in jobs.items()}
            self._declared = None

    def _is_time_to_declare(self) -> bool:
        now = self._clock.steady()
        if self._declared is not None and now - self._declared < DECLARE_EVERY.total_seconds():
            return False
        self._declared = now
        return True

    def _declare(self, now: datetime, records: dict[str, ScheduleRecord]) -> None:
        for name, spec in self._specs.items():
            seen = records.get(name)
            if seen is None or _takes_over(seen, spec):
                self._replace(now, seen, name)
        self._confirm()

    def _confirm(self) -> None:
        self._ledger.confirm_schedules(list(self._specs.items()))

    def _set_back(self, now: datetime, records: Sequence[ScheduleRecord]) -> bool:
        """Set schedules back that wait for a later tick than their timing can yield now."""
        is_back = False
        for seen in records:
            if self._specs.get(seen.name) == seen.spec:
                next_at = _schedule(self._jobs[seen.name]).after(now)
                if seen.next_at > next_at and self._ledger.set_back(seen, next_at):
                    is_back = True
                    detail = {"from": seen.next_at.isoformat(), "next_at": next_at.isoformat()}
                    self._emit("schedule.set_back", seen.name, detail)
        return is_back

    def _replace(self, now: datetime, seen: ScheduleRecord | None, name: str) -> None:
        schedule, spec = _schedule(self._jobs[name]), self._specs[name]
        new = ScheduleDeclaration(name, spec, schedule.after(now))
        if seen is not None:
            # Another payload or policy leaves the ticks as they are, another timing begins now.
            same = _timing(seen.spec) == _timing(spec)
            former = [each for each in (*seen.former, _sha(seen.spec)) if each != _sha(spec)]
            next_at = seen.next_at if same else new.next_at
            new = replace(new, next_at=next_at, former=tuple(former[-MOST_FORMER:]))
        if self._ledger.declare_schedule(seen, new):
            self._emit("schedule.declare", name, {"next_at": new.next_at.isoformat()})

    def _fire_all(self, seen: ScheduleRecord) -> int:
        """Take the ticks of a schedule that are due, the oldest first."""
        schedule = _schedule(self._jobs[seen.name])
        seen = self._go_on_after(self._handled(seen), seen)
        due = _due(schedule, seen)
        fired = 0
        if not due or due[0] > seen.next_at:
            reason = f"missed: ticks from {seen.next_at.isoformat()} on"
            until = due[0] if due else schedule.after(seen.read_at)
            seen = self._take(seen, Tick(seen.next_at, until, None, reason=reason)) or seen
        for tick in due[:BATCH]:
            if seen.next_at != tick:
                break
            job = self._job(seen.name, tick)
            if job is None:
                break
            waits = schedule.overlap == "skip"
            taken = self._take(seen, Tick(tick, schedule.after(tick), job, waits))
            if taken is None:
                break
            fired += taken.last_at == tick
            seen = taken
        return fired

    def _handled(self, seen: ScheduleRecord) -> datetime:
        """Return the first tick that may not have been handled yet, where a clock was set.

        A clock that was behind brings handled ticks back, and one that leapt passed over others.
        """
        first = seen.next_at
        if seen.skip_reason == SET_BACK and seen.skipped_at and seen.skipped_at <= seen.read_at:
            first = max(first, seen.skipped_at)
        since = self._watch.since
        if since is not None and first < since - LATENESS:
            first = max(first, _schedule(self._jobs[seen.name]).after(since - LATENESS))
        return first

    def _go_on_after(self, first: datetime, seen: ScheduleRecord) -> ScheduleRecord:
        if first <= seen.next_at:
            return seen
        reason = f"the clock was set: ticks from {seen.next_at.isoformat()} on"
        return self._take(seen, Tick(seen.next_at, first, None, reason=reason)) or seen

    def _take(self, seen: ScheduleRecord, tick: Tick) -> ScheduleRecord | None:
        """Take a tick; return the schedule after it, or None if another process took it."""
        outcome = self._take_traced(seen, tick)
        detail = {"tick": tick.at.isoformat()}
        if outcome is TickOutcome.STALE:
            return None
        if outcome is TickOutcome.SKIPPED:
            self._emit("schedule.skip", seen.name, detail | {"reason": tick.reason or "overlap"})
            return replace(seen, next_at=tick.next_at, skips=seen.skips + 1)
        assert tick.job is not None  # noqa: S101 - what was fired has a job
        self._emit("schedule.fire", seen.name, detail, job_id=tick.job.id)
        fired = replace(seen, next_at=tick.next_at, last_at=tick.at, skips=0)
        return replace(fired, last_job_id=tick.job.id)

    def _take_traced(self, seen: ScheduleRecord, tick: Tick) -> TickOutcome:
        if tick.job is None:
            return self._ledger.take_tick(seen, tick)
        with tracer().maintain("schedule") as span:
            # Each tick is a trace of its own, and its job belongs to that.
            outcome = self._ledger.take_tick(seen, replace(tick, job=traced(tick.job, span)))
            span.note(schedule_name=seen.name, schedule_outcome=outcome.name.lower())
        return outcome

    def _job(self, name: str, tick: datetime) -> NewJob | None:
        job = self._jobs[name]
        schedule = _schedule(job)
        run_at = tick + schedule.jitter * self._rng.random()
        try:
            payload = payload_of(job)
            return new_job(
                job,
                payload,
                {
                    "job_id": tick_id(name, tick),
                    "idempotency_key": tick_key(name, tick),
                    "run_at": run_at,
                },
                self._clock,
            )
        except Exception as error:  # noqa: BLE001 - a model may raise anything; other schedules go on
            self._emit("schedule.error", name, {}, error=ErrorRecord.of(error))
            return None

    def _emit(
        self,
        kind: str,
        name: str,
        detail: Mapping[str, object],
        *,
        job_id: str | None = None,
        error: ErrorRecord | None = None,
    ) -> None:
        queue = self._jobs[name].queue.name
        self._listener(Event(kind, job_id, name, queue, detail=detail, error=error))


def payload_of(job: AnyDefinition) -> BaseModel:
    """Return the payload of a scheduled job: the declared one, or the model without arguments."""
    declared = _schedule(job).payload
    made: BaseModel = job.payload_type() if declared is None else declared
    return made


def spec_of(job: AnyDefinition) -> str:
    """Return what the ledger keeps of a job's schedule."""
    schedule = _schedule(job)
    declared = schedule.payload
    if declared is None:
        return schedule.spec(None)
    return schedule.spec(encode_payload(declared, job.payload_type, MAX_PAYLOAD_BYTES))


def _due(schedule: Schedule, seen: ScheduleRecord) -> list[datetime]:
    """Return the ticks to fire: those that are due and, by the policy, those missed."""
    punctual = seen.read_at - LATENESS
    current = schedule.ticks(max(seen.next_at, punctual), seen.read_at, MOST_MISSED)
    if seen.next_at < punctual and schedule.missed != "all":
        # After so long without a look, the last of many short ticks is enough.
        current = current[-1:]
    most = {"skip": 0, "latest": 0 if current else 1, "all": MOST_MISSED}[schedule.missed]
    late = schedule.ticks(seen.next_at, punctual - timedelta(microseconds=1), most)
    return [*late, *current]


def _takes_over(seen: ScheduleRecord, spec: str) -> bool:
    """Return whether a spec replaces the one in the ledger.

    A new spec does at once. One that was replaced before comes from an older process, and does
    only when no process declares the present one any more: in a rolling deploy the old version
    cannot put its own back, after a rollback it can.
    """
    return seen.spec != spec and (_sha(spec) not in seen.former or seen.is_orphaned)


def _schedule(job: AnyDefinition) -> Schedule:
    assert job.schedule is not None  # noqa: S101 - only jobs with one come here
    return job.schedule


def _timing(spec: str) -> tuple[object, ...]:
    kept = json.loads(spec)
    return kept.get("cron"), kept.get("tz"), kept.get("every")


def _sha(spec: str) -> str:
    return hashlib.sha256(spec.encode()).hexdigest()
