"""The half of the kit that looks: what was dispatched, what ran where, what state jobs are in."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from failsoft.dispatcher.handles.job import JobHandle
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Event
from failsoft.testkit.matching import Expected, listing
from failsoft.testkit.results import Dispatched, delay_of
from failsoft.testkit.story import story
from failsoft.testkit.world import ALL_JOBS, World

R = TypeVar("R")

#: A job by its handle or its id.
AnyHandle = JobHandle[Any] | str


class Looking:
    """What a test may assert of the jobs of its Failsoft."""

    def __init__(self, world: World) -> None:
        """Look at an empty world."""
        self._world = world
        self._given: dict[str, Mapping[str, Any]] = {}

    @property
    def events(self) -> Sequence[Event]:
        """What the parts in this process emitted, in order."""
        return self._world.events

    @property
    def ledger(self) -> Ledger:
        """The ledger, to read what nothing else here shows."""
        return self._world.ledger

    @property
    def ledger_url(self) -> str:
        """The URL of the ledger's database, which is in mode `real` only.

        Raises:
            AssertionError: The ledger is in memory.
        """
        found = self._world.ledger_url
        if found is None:
            raise AssertionError(
                "expected a ledger with a database, got one in memory; run the test on one: "
                "@pytest.mark.failsoft(mode='real')"
            )
        return found

    def job(self, definition: "JobDefinition[Any, R]") -> JobHandle[R]:
        """Return the handle of the only job of a definition.

        Raises:
            AssertionError: There is none, or several.
        """
        found = [job for job in self._jobs() if job.name == definition.name]
        if len(found) != 1:
            raise AssertionError(
                f"expected one job of {definition.name}, got {len(found)}; {self._seen(definition)}"
            )
        return JobHandle(found[0], definition, self._world.ledger, self._world.dispatcher.clock)

    def dispatched(
        self,
        job: AnyDefinition | None = None,
        /,
        *,
        payload: BaseModel | None = None,
        **fields: object,
    ) -> list[Dispatched]:
        """Return the jobs that were dispatched, the first first.

        Jobs that jobs dispatched, invoked or set off are among them, and those of schedules.

        Args:
            job: Only those of this definition.
            payload: Only those with this payload.
            fields: Only those with such fields of the payload, or options of the dispatch.

        Raises:
            AssertionError: A name is neither a field nor an option.
        """
        expected = Expected.of(job, payload, fields)
        return [each for each in self._all() if expected.matches(each)]

    def assert_dispatched(
        self,
        job: AnyDefinition,
        /,
        *,
        count: int | None = 1,
        payload: BaseModel | None = None,
        **fields: object,
    ) -> list[Dispatched]:
        """Fail unless so many jobs were dispatched that match; return them.

        Args:
            job: Their definition.
            count: How many; None for one or more.
            payload: Their whole payload.
            fields: Fields of the payload, and options of the dispatch such as `queue`, `delay`,
                `priority` or `idempotency_key`. `delay=None` is a job that was to begin at once.

        Raises:
            AssertionError: With what was dispatched, and in what it differs.
        """
        expected = Expected.of(job, payload, fields)
        seen = self._all()
        found = [each for each in seen if expected.matches(each)]
        if len(found) == count or (count is None and found):
            return found
        wanted = "1 or more dispatches" if count is None else _counted(count)
        rest = listing(expected, found if len(found) > (count or 0) else seen)
        raise AssertionError(f"expected {wanted} of {expected}, got {len(found)}; {rest}")

    def refute_dispatched(
        self,
        job: AnyDefinition,
        /,
        *,
        payload: BaseModel | None = None,
        **fields: object,
    ) -> None:
        """Fail if a job was dispatched that matches, as in `assert_dispatched`.

        Raises:
            AssertionError: With those that were.
        """
        expected = Expected.of(job, payload, fields)
        found = [each for each in self._all() if expected.matches(each)]
        if found:
            raise AssertionError(
                f"expected no dispatch of {expected}, got {len(found)}; {listing(expected, found)}"
            )

    def assert_scheduled(
        self,
        job: AnyDefinition,
        /,
        *,
        at: datetime | None = None,
        within: timedelta | None = None,
        payload: BaseModel | None = None,
        **fields: object,
    ) -> JobRecord:
        """Fail unless one job that matches waits for its time; return it as it is now.

        Args:
            job: Its definition.
            at: The moment it waits for, to the second.
            within: It is due at the latest so long from now.
            payload: Its whole payload.
            fields: As in `assert_dispatched`.

        Raises:
            AssertionError: No such job waits, or several do.
        """
        seen = self.dispatched(job, payload=payload, **fields)
        jobs = [self._world.ledger.get(each.id) for each in seen]
        waiting = [each for each in jobs if each.state is JobState.SCHEDULED and each.run_at]
        due = [each for each in waiting if _is_due(each.run_at, self._world.now(), at, within)]
        if len(due) == 1:
            return due[0]
        times = ", ".join(f"{each.state} {each.run_at or ''}".strip() for each in jobs) or "none"
        when = "" if at is None else f" at {at}"
        when += "" if within is None else f" within {within}"
        raise AssertionError(
            f"expected one job of {job.name} that waits for its time{when}, got {len(due)}; "
            f"its jobs: {times}; now it is {self._world.now()}"
        )

    def assert_state(self, handle: AnyHandle, state: JobState | str) -> None:
        """Fail unless a job is in a state.

        Raises:
            AssertionError: With the job's story.
        """
        found = self._world.ledger.get(id_of(handle)).state
        if found != JobState(state):
            raise AssertionError(
                f"expected job {id_of(handle)} to be {JobState(state)}, got {found}"
                f"\n{self.story(handle)}"
            )

    def assert_held(self, handle: AnyHandle, reason: str = "") -> None:
        """Fail unless a job is held for a person, for a reason that contains this text.

        Raises:
            AssertionError: With the job's story.
        """
        self.assert_state(handle, JobState.HELD)
        error = self._world.ledger.get(id_of(handle)).error
        found = "" if error is None else f"{error.type}: {error.message}"
        if reason not in found:
            raise AssertionError(
                f"expected job {id_of(handle)} to be held for {reason!r}, got {found!r}"
            )

    def assert_not_offered(self, handle: AnyHandle) -> None:
        """Fail if an engine has the job, or had it.

        Raises:
            AssertionError: With the job's story.
        """
        job = self._world.ledger.get(id_of(handle))
        if job.epoch > 0:
            raise AssertionError(
                f"expected job {job.id} to be offered to no engine, got epoch {job.epoch} on "
                f"{job.engine}\n{self.story(handle)}"
            )

    def assert_ran_on(self, handle: AnyHandle, *engines: str) -> None:
        """Fail unless the attempts of a job ran on these engines, in this order.

        Attempts on the same engine one after the other count once.

        Raises:
            AssertionError: With the job's story.
        """
        attempts = self._world.ledger.attempts(id_of(handle))
        ran = [engine for engine, _ in groupby(attempt.engine for attempt in attempts)]
        if ran != list(engines):
            raise AssertionError(
                f"expected job {id_of(handle)} to have run on {_list(engines)}, got {_list(ran)}\n"
                f"{self.story(handle)}"
            )

    def assert_steps(self, handle: AnyHandle, *names: str, once: bool = False) -> None:
        """Fail unless these are the finished steps of a job, in this order.

        Args:
            handle: The job.
            names: Their names.
            once: Fail, too, if the body of one of them came to its end more than once.

        Raises:
            AssertionError: With the job's story.
        """
        job_id = id_of(handle)
        unfinished = (StepKind.INTENT, StepKind.WAIT)
        steps = self._world.ledger.steps(job_id)
        found = [step.name for step in steps if step.kind not in unfinished]
        if found != list(names):
            raise AssertionError(
                f"expected steps {_list(names)} of job {job_id}, got {_list(found)}\n"
                f"{self.story(handle)}"
            )
        bodies = [name for _, name in self._world.bodies(job_id)]
        again = {name: bodies.count(name) for name in names if bodies.count(name) > 1}
        if once and again:
            times = ", ".join(f"{name} {count} times" for name, count in again.items())
            raise AssertionError(
                f"expected each step of job {job_id} to run once, got {times}\n{self.story(handle)}"
            )

    def story(self, handle: AnyHandle) -> str:
        """Return attempts, steps and history of a job, a line each."""
        return story(self._world.ledger, id_of(handle))

    def _jobs(self) -> list[JobRecord]:
        return list(reversed(self._world.ledger.list_jobs(limit=ALL_JOBS)))

    def _all(self) -> list[Dispatched]:
        return [self._dispatched(job) for job in self._jobs()]

    def _dispatched(self, job: JobRecord) -> Dispatched:
        given = dict(self._given.get(job.id, {}))
        options = {
            "job_id": job.id,
            "idempotency_key": job.idempotency_key,
            "priority": job.priority,
            "engines": job.engines,
            "tags": job.tags,
            "expires_at": job.expires_at,
            **given,
        }
        delay = given.get("delay")
        if delay is None and job.id not in self._given:
            delay = delay_of(job)
        return Dispatched(job.id, job.name, self._payload(job), job.queue, delay, options)

    def _payload(self, job: JobRecord) -> BaseModel | Mapping[str, Any]:
        definition = self._world.catalogue.known(job.name)
        if definition is not None:
            try:
                found = definition.decode(job.payload, job.version)
            except (ValidationError, ValueError):
                pass
            else:
                return found if isinstance(found, BaseModel) else {"payload": found}
        return {"payload": job.payload}

    def _seen(self, definition: AnyDefinition) -> str:
        return listing(Expected(definition, None, {}, {}), self._all())


def id_of(handle: AnyHandle) -> str:
    """Return the id of a job."""
    return handle if isinstance(handle, str) else handle.id


def _is_due(
    moment: datetime | None, now: datetime, at: datetime | None, within: timedelta | None
) -> bool:
    if moment is None:
        return False
    if at is not None and abs(moment - at) > timedelta(seconds=1):
        return False
    return within is None or moment <= now + within


def _counted(count: int) -> str:
    return "1 dispatch" if count == 1 else f"{count} dispatches"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
