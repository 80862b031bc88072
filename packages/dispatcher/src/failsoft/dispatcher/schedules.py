"""The control of schedules: list, pause, resume, trigger."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.maintenance.cron import payload_of
from failsoft.dispatcher.options.checks import check_job
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.errors import OptionInvalidError, ScheduleNotFoundError
from failsoft.job_engine.policies.schedule import schedule_of
from failsoft.job_engine.records.schedules import ScheduleLedger, ScheduleRecord
from failsoft.job_engine.validation import did_you_mean

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class Schedules:
    """The schedules of a ledger; each is named after its job.

    A job may be given as its definition or by name.
    """

    def __init__(self, ledger: ScheduleLedger, dispatch: Callable[..., JobHandle[Any]]) -> None:
        self._ledger = ledger
        self._dispatch = dispatch

    def list(self) -> Sequence[ScheduleRecord]:
        """Return every schedule, by name, with its next and its last run."""
        return self._ledger.schedules()[1]

    def get(self, job: AnyDefinition | str) -> ScheduleRecord:
        """Return one schedule.

        Raises:
            ScheduleNotFoundError: If the ledger holds none of that name.
        """
        name = _name(job)
        known = {each.name: each for each in self.list()}
        if name in known:
            return known[name]
        raise ScheduleNotFoundError(
            f"expected the name of a schedule in the ledger, got {name!r}"
            f"{did_you_mean(name, known)}; a worker that has the job declares it"
        )

    def pause(self, job: AnyDefinition | str) -> ScheduleRecord:
        """Fire no tick until it is resumed; jobs that were fired go on.

        Raises:
            ScheduleNotFoundError: If the ledger holds none of that name.
        """
        self._ledger.pause_schedule(_name(job))
        return self.get(job)

    def resume(self, job: AnyDefinition | str) -> ScheduleRecord:
        """Go on with the next tick; those that passed meanwhile are not made up for.

        Raises:
            ScheduleNotFoundError: If the ledger holds none of that name.
        """
        while (seen := self.get(job)).paused:
            # If the spec changes meanwhile, this is another round.
            self._ledger.resume_schedule(seen, schedule_of(seen.spec).after(seen.read_at))
        return seen

    def trigger(self, job: JobDefinition[P, R]) -> JobHandle[R]:
        """Dispatch the job of a schedule now; no tick, so its next and last run stay.

        Raises:
            OptionInvalidError: If the job has no schedule.
        """
        check_job(job)
        if job.schedule is None:
            raise OptionInvalidError(
                f"expected a job with a schedule, got {job.name!r}; dispatch it instead"
            )
        return self._dispatch(job, payload_of(job))


def _name(job: AnyDefinition | str) -> str:
    if isinstance(job, str):
        return job
    check_job(job)
    return job.name
