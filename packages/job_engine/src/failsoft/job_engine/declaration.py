"""What is known of a job wherever it is dispatched: all but the code that runs."""

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.policies.checks import check_options
from failsoft.job_engine.policies.limits import Concurrency, Limits, RateLimit, limits_of
from failsoft.job_engine.policies.payload_versions import Upcaster, Upgrades
from failsoft.job_engine.policies.queue import QueueProfile, profile_or_default
from failsoft.job_engine.policies.retention import (
    IDEMPOTENCY_FOR,
    KEEP_FAILED,
    KEEP_SUCCEEDED,
    Retention,
)
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.policies.schedule import Schedule
from failsoft.job_engine.policies.uniqueness import (
    Debounce,
    Identity,
    Throttle,
    Unique,
    unknown_fields,
    wrong_with,
)
from failsoft.job_engine.records.failure import JobFailure
from failsoft.job_engine.records.follow_ups import FollowUps, OnFailureJob
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.codec import (
    Result,
    decode_payload,
    describe,
    is_model,
    result_of_type,
)

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


class JobOptions(TypedDict, total=False):
    """The optional attributes of a definition, as keywords of `@job` and `declare_job`."""

    retry: RetryPolicy
    timeout: timedelta | None
    priority: int
    engines: tuple[str, ...]
    tags: tuple[str, ...]
    unique: Unique | None
    debounce: Debounce | None
    throttle: Throttle | None
    concurrency: Concurrency | None
    rate_limit: RateLimit | None
    keep_succeeded: Retention
    keep_failed: Retention
    idempotency_for: timedelta
    schedule: Schedule | None
    on_failure: "FailureHook | None"
    version: int


@dataclass(frozen=True)
class JobDeclaration(Generic[P, R]):
    """A named job: its payload model, its queue and its policies.

    Attributes:
        name: What the ledger stores; never an import path.
        payload_type: The pydantic model of the payload.
        result_type: The declared type of the result.
        queue: The profile of the queue it runs on.
        retry: What happens when it raises.
        timeout: The longest an attempt may run; the queue's timeout where None.
        priority: From -100 to 100; a higher one is offered first when many jobs are due.
        engines: The engines it may run on, in order of preference; empty allows all.
        tags: Words to find its jobs by.
        unique: Which of its jobs may not be there at the same time.
        debounce: Of which dispatches in a row only the last runs.
        throttle: Of which dispatches within a period only the first runs.
        concurrency: How many of its jobs may run at once.
        rate_limit: How many of its attempts may begin within a period.
        keep_succeeded: How long succeeded jobs stay.
        keep_failed: How long failed jobs stay.
        idempotency_for: How long an idempotency key, a job id of the caller's or a chain id is
            remembered from the dispatch on; longer, if the job is there for longer.
        schedule: `Cron` or `Every`: when it is dispatched by itself.
        on_failure: The job that is dispatched when one fails; its payload is `JobFailure`.
        version: The version of its payload; raise it, and add an `upgrade`, when that changes.
        upgrades: What brings payloads of older versions up to date; `upgrade` adds to it.
    """

    name: str
    payload_type: type[P]
    result_type: Any
    queue: QueueProfile
    _: KW_ONLY
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta | None = None
    priority: int = 0
    engines: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    unique: Unique | None = None
    debounce: Debounce | None = None
    throttle: Throttle | None = None
    concurrency: Concurrency | None = None
    rate_limit: RateLimit | None = None
    keep_succeeded: Retention = KEEP_SUCCEEDED
    keep_failed: Retention = KEEP_FAILED
    idempotency_for: timedelta = IDEMPOTENCY_FOR
    schedule: Schedule | None = None
    on_failure: "FailureHook | None" = None
    version: int = 1
    upgrades: Upgrades = field(default_factory=Upgrades, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a definition that could not work."""
        expect = Expect(DefinitionError, f"job {self.name!r}: ")
        expect.matching("a name of letters, digits, `_`, `.` or `-`", self.name, _NAME)
        self._expect(
            is_model(self.payload_type), f"a pydantic model as payload, got {self.payload_type!r}"
        )
        check_options(self.name, self)
        wrong = wrong_with([self.unique, self.debounce, self.throttle], self.payload_type)
        self._expect(not wrong, wrong)
        for limit in (self.concurrency, self.rate_limit):
            unknown = "" if limit is None else unknown_fields(limit.by, self.payload_type)
            self._expect(not unknown, unknown)
        if self.schedule is not None:
            self._check_scheduled(self.schedule)
        self._check_hooks()

    def __repr__(self) -> str:
        """Show what distinguishes it from others, and not every policy."""
        return f"{type(self).__name__}({self._shown})"

    @property
    def _shown(self) -> str:
        payload = getattr(self.payload_type, "__name__", self.payload_type)
        return f"{self.name!r}, payload={payload}, queue={self.queue.name!r}"

    def _check_hooks(self) -> None:
        names, hook = [self.name], self.on_failure
        while hook is not None:
            expected = f"an on_failure that is a job, got {hook!r}; decorate it with @job()"
            self._expect(isinstance(hook, JobDeclaration), expected)
            kind = hook.payload_type
            self._expect(
                kind is JobFailure, f"an on_failure job for JobFailure, got one for {kind.__name__}"
            )
            self._expect(
                hook.name not in names,
                f"on_failure jobs that come to an end, got {' -> '.join([*names, hook.name])}",
            )
            names.append(hook.name)
            hook = hook.on_failure

    def _check_scheduled(self, schedule: Schedule) -> None:
        self._expect(self.debounce is None, "a schedule or a debounce, got both")
        kind, given = self.payload_type, schedule.payload
        fits = given is None or isinstance(given, kind)
        got = type(given).__name__
        self._expect(fits, f"a scheduled payload of type {kind.__name__}, got {got}")
        try:
            _ = given or kind()
        except ValidationError as error:
            self._expect(
                False,
                f"a payload model that needs no arguments, or {type(schedule).__name__}(..., "
                f"payload=...), got: {describe(error)}",
            )

    def _expect(self, met: object, expected: str) -> None:
        if not met:
            raise DefinitionError(f"job {self.name!r}: expected {expected}")

    @property
    def declaration(self) -> tuple[Any, ...]:
        """Return what every copy of the definition must agree on."""
        return self.name, self.payload_type, self.queue

    @cached_property
    def result(self) -> Result[R]:
        """Say how the job's result is stored."""
        return result_of_type(self.result_type)

    @property
    def identity(self) -> Identity | None:
        """Return what makes two dispatches of it the same."""
        return self.unique or self.debounce or self.throttle

    def limits(self, payload: BaseModel) -> Limits:
        """Return the limits of a job with this payload."""
        return limits_of(self.name, payload, self.concurrency, self.rate_limit)

    @property
    def attempt_timeout(self) -> timedelta:
        """Return the longest an attempt may run on the definition's own queue."""
        return self.timeout or self.queue.timeout

    def timeout_on(self, queue: str) -> timedelta:
        """Return the longest an attempt may run on a queue that its dispatch may have chosen."""
        is_own = queue == self.queue.name
        return self.attempt_timeout if is_own else self.timeout or profile_or_default(queue).timeout

    def upgrade(self, *, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Bring payloads of an older version up to the next; use it as a decorator.

        The function takes the payload as JSON has it, a dict, and returns the next version's.

        Raises:
            DefinitionError: If the version is not below the definition's, or has one already.
        """

        def add(upcaster: Upcaster) -> Upcaster:
            self.upgrades.add(self.name, self.version, from_version, upcaster)
            return upcaster

        return add

    def decode(self, payload: str, version: int | None = None) -> P:
        """Read a payload of a version from the ledger; of the newest where None."""
        if version is not None and version < self.version:
            payload = self.upgrades.apply(self.name, payload, version, self.version)
        return decode_payload(payload, self.payload_type)


#: A declaration whose payload and result types are not known here.
AnyDeclaration = JobDeclaration[Any, Any]

#: The job that is dispatched when another one fails.
FailureHook = JobDeclaration[JobFailure, Any]


def follow_ups_of(job: AnyDeclaration) -> FollowUps:
    """Return what every job of a declaration sets off."""
    return FollowUps(on_failure=_on_failure_of(job.on_failure))


def _on_failure_of(job: AnyDeclaration | None) -> OnFailureJob | None:
    if job is None:
        return None
    return OnFailureJob(
        name=job.name,
        queue=job.queue.name,
        priority=job.priority,
        engines=job.engines,
        tags=job.tags,
        concurrency=job.concurrency,
        rate_limit=job.rate_limit,
        on_failure=_on_failure_of(job.on_failure),
        version=job.version,
    )
