"""The beat schedule of a program's Celery app, as jobs that have schedules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from celery._state import _get_active_apps  # the apps, as the job module finds them
from celery.schedules import crontab, maybe_schedule
from celery.schedules import schedule as interval
from pydantic import JsonValue

from failsoft.adoption.celery import jobs
from failsoft.adoption.celery.call import TaskCall, celery_task
from failsoft.adoption.definition import CallDefinition
from failsoft.api import Cron, Every, FailsoftError, JobContext, OptionInvalidError
from failsoft.dispatcher.maintenance.cron import spec_of
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.policies.schedule import Schedule
from failsoft.job_engine.records.schedules import ScheduleDeclaration, ScheduleLedger

#: What the names of the jobs begin with; the name of the entry follows.
PREFIX = "beat."
_MOST_CHARS = 120
#: What an entry that is not carried over may do instead.
_LEAVE = "leave it to `celery beat`, whose calls of a FailsoftTask are dispatched"
#: The options of an entry that are carried over.
_OPTIONS = frozenset({"queue", "exchange", "routing_key", "priority", "link", "link_error"})
#: The options that are those of a task where an entry has none.
_LIMITS = frozenset({"time_limit", "soft_time_limit", "ignore_result", "serializer"})

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_STEPPED = re.compile(r"\*(/\d+)?")


@dataclass(frozen=True, slots=True)
class BeatEntry:
    """An entry of a beat schedule.

    Attributes:
        name: The name of the entry.
        task: The name of its task.
        job: The job that it becomes, whose name its schedule has; None if it is not carried over.
        refusal: Why it is not, and what to do; empty if it is.
    """

    name: str
    task: str
    job: CallDefinition[TaskCall] | None = None
    refusal: str = ""

    @property
    def call(self) -> TaskCall | None:
        """Return what each of its jobs calls; None if it is not carried over."""
        payload = (
            None if self.job is None or self.job.schedule is None else self.job.schedule.payload
        )
        return payload if isinstance(payload, TaskCall) else None


def beat_entries() -> Sequence[BeatEntry]:
    """Return the entries of the beat schedules of the program's apps, by their names.

    The apps are those that the modules of FAILSOFT_CALLABLES have made; what they add by
    `add_periodic_task` is among them.
    """
    found: list[BeatEntry] = []
    for app in _get_active_apps():
        app.finalize()
        found += [_entry(app, *each) for each in sorted(app.conf.beat_schedule.items())]
    return [_alone(each, found) for each in found]


def _alone(entry: BeatEntry, entries: Sequence[BeatEntry]) -> BeatEntry:
    """Refuse an entry whose job has the name of another one's."""
    if entry.job is None:
        return entry
    same = [each.name for each in entries if each.job and each.job.name == entry.job.name]
    if len(same) == 1:
        return entry
    said = f"expected a name of its own, got {entry.job.name!r} for {len(same)}; give it another"
    return BeatEntry(entry.name, entry.task, refusal=said)


def _entry(app: Any, name: str, given: Mapping[str, Any]) -> BeatEntry:
    task = str(given.get("task"))
    try:
        return BeatEntry(name, task, _job(app, name, given))
    except FailsoftError as error:
        return BeatEntry(name, task, refusal=str(error))


def _job(app: Any, name: str, given: Mapping[str, Any]) -> CallDefinition[TaskCall]:
    task = jobs.task_for_drain(given["task"])
    options = {**task._get_exec_options(), **(given.get("options") or {})}  # noqa: SLF001 - as a call
    refused = sorted(
        key for key, value in options.items() if value is not None and key not in _OPTIONS | _LIMITS
    )
    if refused:
        raise OptionInvalidError(
            f"expected an entry without {', '.join(refused)}, got one with it; leave it out, or "
            f"{_LEAVE}"
        )
    link = task.link_for(given.get("args") or (), given.get("kwargs") or {}, options)
    schedule = _schedule_of(app, given.get("schedule"), link.payload)
    declared = replace(celery_task, name=PREFIX + _UNFIT.sub("-", name)[:_MOST_CHARS])

    def run(call: TaskCall, ctx: JobContext) -> JsonValue:
        return jobs.run_call(call, ctx, declared)

    return replace(
        declared,
        handler=run,
        policies=jobs.celery_task.policies,
        queue=queue_profile(str(link.queue)),
        priority=link.priority or 0,
        on_failure=jobs.celery_failure_callback if link.payload.errbacks else None,
        schedule=schedule,
    )


def _schedule_of(app: Any, given: Any, call: TaskCall) -> Schedule:
    found: Any = maybe_schedule(given, app=app) if _is_known(given) else None
    if found is None or getattr(found, "nowfun", None) is not None:
        raise OptionInvalidError(
            f"expected a crontab or an interval, got {type(given).__name__}; write a job with "
            f"schedule=Cron(...) or Every(...), or {_LEAVE}"
        )
    if isinstance(found, crontab):
        return Cron(_expression(found), tz=_zone(app), payload=call)
    return Every(found.run_every, payload=call)


def _is_known(given: object) -> bool:
    # Not a class of the program's own, whatever it derives from: it may decide otherwise.
    return type(given) in {int, float, timedelta, interval, crontab}


def _expression(given: crontab) -> str:
    fields = [
        _field(given._orig_minute, given.minute),  # noqa: SLF001 - no other way to what was written
        _field(given._orig_hour, given.hour),  # noqa: SLF001 - see above
        _field(given._orig_day_of_month, given.day_of_month),  # noqa: SLF001 - see above
        _field(given._orig_month_of_year, given.month_of_year),  # noqa: SLF001 - see above
        _field(given._orig_day_of_week, given.day_of_week),  # noqa: SLF001 - see above
    ]
    days = (fields[2], fields[4])
    if not any(each.startswith("*") for each in days):
        raise OptionInvalidError(
            "expected a day of the month or a day of the week, got both, which Celery fires on "
            "days that are both, and a cron expression on days that are either; leave one out and "
            f"look for the other in the task, or {_LEAVE}"
        )
    return " ".join(fields)


def _field(written: object, values: set[int]) -> str:
    # What begins with `*` follows the clock through an hour that comes twice.
    if isinstance(written, str) and _STEPPED.fullmatch(written):
        return written
    return ",".join(map(str, sorted(values)))


def _zone(app: Any) -> str:
    zone = app.timezone
    if zone == UTC:
        return "UTC"
    name = getattr(zone, "key", None)
    if name is None:
        raise OptionInvalidError(
            "expected a time zone with a name, got the one of this machine; set `timezone` of the "
            "app"
        )
    return str(name)


def beat_jobs() -> Iterator[CallDefinition[TaskCall]]:
    """Return the jobs of all entries.

    Raises:
        OptionInvalidError: Some are not carried over.
    """
    entries = beat_entries()
    refused = [f"{each.name!r}: {each.refusal}" for each in entries if each.refusal]
    if refused:
        raise OptionInvalidError(
            f"expected a beat schedule that is carried over, got {len(refused)} of "
            f"{len(entries)} entries that are not; take them out of `beat_schedule`: "
            + "; ".join(refused)
        )
    return iter([each.job for each in entries if each.job is not None])


def import_beat(ledger: ScheduleLedger | None) -> Sequence[Mapping[str, Any]]:
    """List the entries, each as JSON carries it, and record the schedules of those that can be.

    Args:
        ledger: Where they are recorded; None only lists them. One that is there is left alone: the
            workers that declare it decide about it.

    Raises:
        LedgerUnavailableError: The ledger did not answer; run it again.
    """
    return [_listed(each, ledger) for each in beat_entries()]


def _listed(entry: BeatEntry, ledger: ScheduleLedger | None) -> Mapping[str, Any]:
    job, call = entry.job, entry.call
    if job is None or call is None or job.schedule is None:
        return {"entry": entry.name, "task": entry.task, "job": None, "refusal": entry.refusal}
    next_at = job.schedule.after(datetime.now(UTC))
    new = ScheduleDeclaration(job.name, spec_of(job), next_at)
    return {
        "entry": entry.name,
        "task": entry.task,
        "job": job.name,
        "timing": job.schedule.timing,
        "next": next_at.isoformat(),
        "args": call.args,
        "kwargs": call.kwargs,
        "queue": job.queue.name,
        "priority": job.priority,
        "recorded": ledger is not None and ledger.declare_schedule(None, new),
        "refusal": "",
    }
