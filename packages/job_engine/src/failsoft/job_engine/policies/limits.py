"""Limits per key: how many jobs may run at once, and how many may begin within a period (I12).

They hold across engines and hosts, for the ledger counts. A job that a limit leaves no room for
waits for its turn and holds no worker; none is left out.
"""

from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.policies.uniqueness import check_fields, chosen, hashed
from failsoft.job_engine.validation import Expect

#: The highest limit: each claim of a rate-limited job counts so many rows at most.
MAX_LIMIT = 10_000
MAX_NAME_CHARS = 128


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that a job is under.

    Attributes:
        key: A hash of the limit's name and of the chosen fields; jobs with one key share the room.
        most: How many of them there may be.
        period: For how long one that began counts; None while it runs.
    """

    key: str
    most: int
    period: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that a job is under.

    Attributes:
        concurrency: How many may run at once.
        rate: How many may begin within a period.
    """

    concurrency: Limit | None = None
    rate: Limit | None = None

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return self.concurrency is not None or self.rate is not None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of the room of a limit is taken now.

    Attributes:
        limit: The limit.
        taken: How many jobs of its key run, or began within its period.
    """

    limit: Limit
    taken: int

    @property
    def is_full(self) -> bool:
        """Return whether a job of the key has to wait for its turn."""
        return self.taken >= self.limit.most

    def __str__(self) -> str:
        """Say it in a line."""
        if self.limit.period is None:
            return f"concurrency: {self.taken} of {self.limit.most} run"
        return f"rate: {self.taken} of {self.limit.most} began within {self.limit.period}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """So many jobs run at once for each value of some fields of the payload.

    A job that sleeps, waits or is retried later does not run meanwhile, and leaves its place to
    others.

    Attributes:
        limit: How many.
        by: The names of the fields; none at all means one room for all jobs of the name.
        name: What shares the room: definitions that give the same name and the same values; the
            definition's own name where None.
    """

    limit: int
    by: tuple[str, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could never hold."""
        _check("concurrency", self)

    def of(self, job: str, payload: BaseModel) -> Limit:
        """Return the limit of one job."""
        return Limit(_key("concurrency", self, job, payload), self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """So many attempts begin within any period, for each value of some fields of the payload.

    Every attempt counts: a retry does, and one that goes on after a sleep. Whatever moment is
    looked at, no more than `limit` of them began within the `period` before it.

    Attributes:
        limit: How many.
        period: Within which time.
        by: The names of the fields; none at all means one count for all jobs of the name.
        name: What shares the count: definitions that give the same name, the same period and the
            same values; the definition's own name where None.
    """

    limit: int
    period: timedelta
    by: tuple[str, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could never hold."""
        _check("rate_limit", self)

    def of(self, job: str, payload: BaseModel) -> Limit:
        """Return the limit of one job."""
        key = _key("rate", self, job, payload, self.period.total_seconds())
        return Limit(key, self.limit, self.period)


def limits_of(
    job: str, payload: BaseModel, concurrency: Concurrency | None, rate_limit: RateLimit | None
) -> Limits:
    """Return the limits of a job of that name and payload."""
    if concurrency is None and rate_limit is None:
        return NO_LIMITS
    return Limits(
        None if concurrency is None else concurrency.of(job, payload),
        None if rate_limit is None else rate_limit.of(job, payload),
    )


def _key(
    kind: str, given: Concurrency | RateLimit, job: str, payload: BaseModel, *more: object
) -> str:
    values = chosen(given.by, payload)
    # Values only, in their order: another definition may have other names for the same thing.
    named = [given.name is not None, given.name or job]
    return hashed(kind, named, [values[field] for field in given.by], *more)


def _check(option: str, given: Concurrency | RateLimit) -> None:
    expect = Expect(DefinitionError, f"{option}: ")
    todo = "pause a queue or a job to let none run"
    expect.whole("a limit", given.limit, least=1, most=MAX_LIMIT, todo=todo)
    check_fields(given.by)
    if given.name is not None:
        expect.text("a name", given.name, most=MAX_NAME_CHARS)
    if isinstance(given, RateLimit):
        expect.span("a period", given.period)
