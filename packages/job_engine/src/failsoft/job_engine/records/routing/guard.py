"""The guard of a share: when an engine's share of a rule is taken away by itself (rule 25)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.states import CRASH, CRASH_OUT, EXHAUST, FAIL, RECOVER, RETRY
from failsoft.job_engine.validation import Expect

#: How many attempts of a share are judged: no fewer, as chance would decide, and the newest.
LEAST_ATTEMPTS, MOST_ATTEMPTS = 50, 200
#: The limit where only a wait is given.
DEFAULT_FAILURES = 0.05
#: How long a share stays away at least, also where its rule is set again.
HYSTERESIS = timedelta(minutes=5)
#: The pause between two looks at a guarded rule, whichever process looks.
LOOK_EVERY = timedelta(seconds=5)
#: How many of the newest jobs of the ledger a look goes through: first a few, which are enough
#: where the share is busy, and at most so many.
FEW_JOBS, NEWEST_JOBS = 1_000, 10_000

#: Why an offer is made again whose engine gets no offers: nothing that its engine did.
GETS_NO_OFFERS = "its engine gets no offers"
#: The ends of attempts that count against their engine.
FAILURES = frozenset(each.name for each in (CRASH, CRASH_OUT, EXHAUST, FAIL, RECOVER, RETRY))


@dataclass(frozen=True, slots=True)
class Guard:
    """The limit beyond which an engine's share is taken away.

    Attributes:
        failures: The share of its attempts that may go wrong, from 0 to below 1.
        wait: An attempt that begins so long after its offer has gone wrong, too; None lets it wait.
    """

    failures: float = DEFAULT_FAILURES
    wait: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        expect = Expect(OptionInvalidError, "guard: ")
        is_number = not isinstance(self.failures, bool) and isinstance(self.failures, int | float)
        expect.value(
            is_number and 0 <= self.failures < 1, "failures from 0 to below 1", self.failures
        )
        if self.wait is not None:
            expect.span("a wait", self.wait)

    def __str__(self) -> str:
        """Return it as the command line takes it: `failures=5%,wait=30s`."""
        limit = f"failures={self.failures * 100:g}%"
        return limit if self.wait is None else f"{limit},wait={self.wait.total_seconds():g}s"


@dataclass(frozen=True, slots=True)
class Trip:
    """That the guard has taken a share away.

    Attributes:
        engine: Whose share.
        reason: What went wrong, for people.
        at: When, on the database's clock; None before it is recorded.
        until: Where the rule was set again meanwhile: when the share comes back by that. None
            until then: a guard gives nothing back by itself.
    """

    engine: str
    reason: str
    at: datetime | None = None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Return whether the share is away at a moment of the database's clock."""
        return self.until is None or now < self.until

    def outlasting(self, now: datetime) -> "Trip | None":
        """Return what is left of it when its rule is set again: None once it is long ago."""
        if self.at is None:
            return None
        until = min(self.at + HYSTERESIS, now + HYSTERESIS)
        return Trip(self.engine, self.reason, self.at, until) if now < until else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one offer of a job to an engine.

    Attributes:
        job_id: The job.
        name: The name of its definition.
        queue: Its queue.
        tags: Its tags.
        epoch: The offer's.
        waited: From the offer to its claim; until now, where there is none.
        is_claimed: Whether an attempt began.
        outcome: The transition that ended the attempt; None without an end.
        is_missed: Whether the offer was made again without an attempt, as the engine had not
            taken it or no worker had picked it up.
    """

    job_id: str
    name: str
    queue: str
    tags: tuple[str, ...]
    epoch: int
    waited: timedelta
    is_claimed: bool
    outcome: str | None = None
    is_missed: bool = False

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job_id

    @property
    def engines(self) -> tuple[str, ...]:
        """None: a job that names its own engines is shared by no rule."""
        return ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guard finds of a share.

    Attributes:
        attempts: How many were judged.
        failed: How many of them failed, or were missed.
        late: How many others waited too long.
    """

    attempts: int
    failed: int
    late: int

    def exceeds(self, guard: Guard) -> bool:
        """Return whether more went wrong than the guard allows, of enough attempts."""
        wrong = self.failed + self.late
        return self.attempts >= LEAST_ATTEMPTS and wrong > guard.failures * self.attempts

    def reason(self, guard: Guard) -> str:
        """Return what was found, for people."""
        waited = "" if guard.wait is None else f", {self.late} waited more than {guard.wait}"
        allowed = f"{guard.failures * 100:g} % may go wrong"
        return f"of the last {self.attempts} attempts {self.failed} failed{waited}; {allowed}"


def judge(guard: Guard, newest_first: Iterable[Delivery]) -> Verdict:
    """Judge the newest attempts of a share.

    An offer that waits and is not late says nothing yet. Nor does an attempt that runs, unless
    the guard limits waiting: then it has begun in time.
    """
    attempts = failed = late = 0
    for each in newest_first:
        is_failed = each.is_missed or each.outcome in FAILURES
        is_late = guard.wait is not None and each.waited > guard.wait
        has_begun = each.is_claimed and guard.wait is not None
        if not (is_failed or is_late or has_begun or each.outcome):
            continue
        attempts += 1
        failed += is_failed
        late += is_late and not is_failed
        if attempts == MOST_ATTEMPTS:
            break
    return Verdict(attempts, failed, late)
