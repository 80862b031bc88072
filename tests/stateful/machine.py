"""Everything that dispatchers, workers, rescuers and clients may ask a ledger, in any order."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from failsoft.job_engine.policies.limits import Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey
from failsoft.job_engine.records.job import Conclusion, DispatchTry, JobRecord, TryOutcome
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ACCEPT, FAIL, RESUME, STOP, JobState, Transition
from failsoft.testing.ledger_suite.fixtures import FIRST, SECOND
from tests.stateful.actions import LedgerActions
from tests.stateful.attempt import ENDINGS, Attempt
from tests.stateful.choices import (
    MINUTE,
    delays,
    engines,
    faults,
    keys,
    limits,
    numbers,
    outcomes,
    rarely,
    resolutions,
    retrials,
    spans,
    uniques,
)
from tests.stateful.databases import Bench
from tests.stateful.pair import Fault

T = TypeVar("T")

#: More jobs would only keep each from going far.
MOST_JOBS = 7


class LedgerMachine(RuleBasedStateMachine):
    """One ledger, some jobs, and everybody who may touch them, at their best and at their worst.

    `seen` holds jobs as they were read at some time; what is decided by them may be stale.
    """

    bench: ClassVar[Bench]

    seen: Bundle[JobRecord] = Bundle("seen")
    attempts: Bundle[Attempt] = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.actions = LedgerActions(self.bench)
        self.bench.figures["machines"] += 1

    @initialize(target=seen)
    def dispatch_the_first(self) -> JobRecord:
        return if_any(self.actions.dispatch(FIRST))

    @initialize(target=attempts)
    def start_the_first(self) -> Attempt:
        return if_any(self.actions.start(FIRST))

    @initialize(target=seen, unique=uniques)
    def fail_one_of_a_kind(self, unique: UniqueKey) -> JobRecord:
        """Have a job that may be tried again."""
        attempt = if_any(self.actions.start(FIRST, unique=unique))
        self.actions.conclude(attempt, attempt.conclusion(FAIL.name, MINUTE), None)
        return self.actions.look(attempt.claim.job_id)

    @precondition(lambda self: self.actions.recorded < MOST_JOBS)
    @rule(target=seen, engine=engines, delay=delays, key=keys, fault=faults)
    def dispatch(
        self, engine: str, delay: timedelta | None, key: str | None, fault: Fault
    ) -> JobRecord:
        """Record a job, offered at once or for later."""
        given = engine if delay is None else None
        return if_any(self.actions.dispatch(given, fault, key=key, delay=delay))

    @precondition(lambda self: self.actions.recorded < MOST_JOBS)
    @rule(target=seen, engine=engines, expires_in=spans, fault=faults)
    def dispatch_what_expires(self, engine: str, expires_in: timedelta, fault: Fault) -> JobRecord:
        return if_any(self.actions.dispatch(engine, fault, expires_in=expires_in))

    @precondition(lambda self: self.actions.recorded < MOST_JOBS)
    @rule(target=attempts, engine=engines, limits=limits, fault=faults)
    def start_under_limits(self, engine: str, limits: Limits, fault: Fault) -> Attempt:
        """Record a job that shares its limits with others, and claim it if there is room."""
        job = self.actions.dispatch(engine, fault, limits=limits)
        return if_any(self.actions.claim(self.actions.issue(job, engine)) if job else None)

    @precondition(lambda self: self.actions.recorded < MOST_JOBS)
    @rule(target=seen, engine=engines, unique=uniques, fault=faults)
    def dispatch_one_of_a_kind(self, engine: str, unique: UniqueKey, fault: Fault) -> JobRecord:
        """Record a job that is unique, or find the one that holds its key."""
        return if_any(self.actions.dispatch(engine, fault, unique=unique))

    @precondition(lambda self: self.actions.done_again < MOST_JOBS)
    @rule(target=seen, number=numbers, job=seen, how=retrials, raced=st.booleans(), fault=faults)
    def do_again(  # noqa: PLR0917 - hypothesis passes keywords
        self, number: int, job: JobRecord, how: Mapping[str, Any], raced: bool, fault: Fault
    ) -> JobRecord:
        """Do a failed job's work again, or any job's; after another dispatched the same."""
        known = self.actions.any_in(JobState.FAILED, number) or job
        if raced:
            self.actions.dispatch_like(known)
        return if_any(self.actions.retry(ManualRetry(known.id, "a person", **how), fault))

    @rule(target=seen, number=numbers, engine=engines, fault=faults)
    def offer_if_there_is_room(self, number: int, engine: str, fault: Fault) -> JobRecord:
        job = self.actions.any_job(number)
        return all_of(self.actions.offer(job, engine, fault, if_room=True))

    @rule(target=seen, job=seen, stale=rarely, delay=spans, fault=faults)
    def dispatch_again(
        self, job: JobRecord, stale: bool, delay: timedelta, fault: Fault
    ) -> JobRecord:
        """Replace what was seen at any time."""
        return if_any(
            self.actions.replace(job if stale else self.actions.look(job.id), delay, fault)
        )

    @rule(fault=faults)
    def expire(self, fault: Fault) -> None:
        self.actions.expire(fault)

    @precondition(lambda self: self.actions.recorded < MOST_JOBS)
    @rule(target=attempts, engine=engines)
    def start(self, engine: str) -> Attempt:
        """Record a job and claim it, as it mostly goes."""
        return if_any(self.actions.start(engine))

    @rule(target=seen, number=numbers)
    def look(self, number: int) -> JobRecord:
        return self.actions.any_job(number)

    @rule(target=attempts, job=seen, stale=rarely, stranger=rarely, fault=faults)
    def deliver(self, job: JobRecord, stale: bool, stranger: bool, fault: Fault) -> Attempt:
        """Deliver the message of any offer ever made, or that of the newest."""
        offer = job if stale else self.actions.look(job.id)
        engine = offer.engine or FIRST
        if stranger:
            engine = SECOND if engine == FIRST else FIRST
        return if_any(self.actions.claim(self.actions.issue(offer, engine), fault))

    @rule(target=attempts, number=numbers, fault=faults)
    def claim_again(self, number: int, fault: Fault) -> Attempt:
        """Claim with any ticket ever issued."""
        tickets = self.actions.tickets
        return if_any(self.actions.claim(tickets[number % len(tickets)], fault))

    @rule(attempt=attempts, fault=faults)
    def begin(self, attempt: Attempt, fault: Fault) -> None:
        """Begin a step, and be paused for who knows how long."""
        self.actions.begin(attempt, fault)

    @rule(attempt=attempts, fault=faults)
    def record(self, attempt: Attempt, fault: Fault) -> None:
        if attempt.begun:
            self.actions.record(attempt, fault)

    @rule(attempt=attempts, steps=st.integers(1, 3), fault=faults)
    def go_on(self, attempt: Attempt, steps: int, fault: Fault) -> None:
        """Run some steps, as it mostly goes."""
        for _ in range(steps):
            self.actions.begin(attempt)
            if attempt.begun:
                self.actions.record(attempt, fault)

    @rule(attempt=attempts, ending=st.sampled_from(sorted(ENDINGS)), delay=spans, fault=faults)
    def finish(self, attempt: Attempt, ending: str, delay: timedelta, fault: Fault) -> None:
        self.actions.conclude(attempt, attempt.conclusion(ending, delay), fault)

    @rule(attempt=attempts, fault=faults)
    def stop(self, attempt: Attempt, fault: Fault) -> None:
        """Honour a cancel request; no worker stops without one."""
        if self.actions.look(attempt.claim.job_id).cancel_requested:
            self.actions.conclude(attempt, Conclusion(STOP), fault)

    @rule(some=st.lists(attempts, max_size=3), fault=faults)
    def renew(self, some: list[Attempt], fault: Fault) -> None:
        self.actions.renew(some, fault)

    @rule(span=spans)
    def pass_time(self, span: timedelta) -> None:
        """Let leases and pickup deadlines run out, or not."""
        self.actions.pair.pass_time(span)

    @rule(target=seen, engine=engines, fault=faults)
    def rescue(self, engine: str, fault: Fault) -> JobRecord:
        return all_of(self.actions.rescue(engine, fault))

    @rule(target=attempts, attempt=attempts, engine=engines, inside=st.booleans())
    def hand_over(self, attempt: Attempt, engine: str, inside: bool) -> Attempt:
        """Let an attempt miss its lease, inside a step or not, and another one take its job."""
        if inside:
            self.actions.begin(attempt)
        taken = self.actions.take_over(attempt, engine)
        if inside and attempt.begun:
            self.actions.record(attempt)
        return if_any(taken)

    @rule(target=seen, engine=engines, fault=faults)
    def offer_what_waits(self, engine: str, fault: Fault) -> JobRecord:
        return all_of(self.actions.offer_what_waits(engine, fault))

    @rule(target=seen, engine=engines, to=engines, some=st.lists(seen, max_size=3), fault=faults)
    def move(self, engine: str, to: str, some: list[JobRecord], fault: Fault) -> JobRecord:
        """Hand over what waits at an engine, and what was seen of jobs at any time."""
        waiting = self.actions.movable(engine, to)
        known = {job.id: job for job in (*waiting, *some) if job.engine == engine}
        return all_of(self.actions.move(known.values(), to, fault))

    @rule(target=seen, job=seen, stale=rarely, engine=engines, fault=faults)
    def offer(self, job: JobRecord, stale: bool, engine: str, fault: Fault) -> JobRecord:
        """Decide by what was seen at any time, as a rescuer does that was paused meanwhile."""
        known = job if stale else self.actions.look(job.id)
        return all_of(self.actions.offer(known, engine, fault))

    @rule(target=attempts, job=seen, engine=engines)
    def overtake(self, job: JobRecord, engine: str) -> Attempt:
        """Offer again, and deliver the message of the offer before."""
        before = self.actions.look(job.id)
        list(self.actions.offer(before, engine))
        return if_any(self.actions.claim(self.actions.issue(before, before.engine or FIRST)))

    @rule(job=seen, stale=rarely, delay=spans, fault=faults)
    def park(self, job: JobRecord, stale: bool, delay: timedelta, fault: Fault) -> None:
        self.actions.park(job if stale else self.actions.look(job.id), delay, fault)

    @rule(job=seen, fault=faults)
    def exhaust(self, job: JobRecord, fault: Fault) -> None:
        """Give up by what was seen at any time."""
        self.actions.exhaust(job, fault)

    @rule(attempt=attempts, fault=faults)
    def hold(self, attempt: Attempt, fault: Fault) -> None:
        self.actions.hold(attempt, fault)

    @rule(number=numbers, stale=rarely, job=seen, how=resolutions, done=st.booleans(), fault=faults)
    def resolve(  # noqa: PLR0917 - hypothesis passes keywords
        self, number: int, stale: bool, job: JobRecord, how: Transition, done: bool, fault: Fault
    ) -> None:
        """Let a person decide, by what they saw at any time."""
        known = job if stale else self.actions.any_in(JobState.HELD, number)
        steps = {f"step-{place}": '"told"' for place in range(3)} if done else {}
        self.actions.resolve(known or job, resolution(how, steps), fault)

    @rule(job=seen, span=spans, outcome=outcomes, fault=faults)
    def keep_the_books(
        self, job: JobRecord, span: timedelta, outcome: TryOutcome, fault: Fault
    ) -> None:
        tried = DispatchTry(job.engine or FIRST, job.epoch, "offer", outcome, "", 0.5)
        self.actions.keep_the_books(job, tried, span, fault)

    @rule(number=numbers, fault=faults)
    def cancel(self, number: int, fault: Fault) -> None:
        self.actions.cancel(self.actions.any_job(number).id, fault)

    @rule(attempt=attempts, fault=faults)
    def cancel_what_was_claimed(self, attempt: Attempt, fault: Fault) -> None:
        self.actions.cancel(attempt.claim.job_id, fault)

    @rule()
    def crash(self) -> None:
        """Lose every connection, and open the ledger as a new process does."""
        self.actions.pair.reopen()

    @invariant()
    def every_promise_is_kept(self) -> None:
        self.bench.figures["rules"] += 1
        self.actions.pair.expect_sound()


def resolution(how: Transition, steps: Mapping[str, str]) -> Resolution:
    """Return what a person decided."""
    if how is ACCEPT:
        return Resolution(how, "a person", result='"told"')
    return Resolution(how, "a person", done=steps if how is RESUME else {})


def machine_on(bench: Bench) -> type[LedgerMachine]:
    """Return the machine that works on a bench."""
    return type("MachineOnBench", (LedgerMachine,), {"bench": bench})


def if_any(found: T | None) -> T:
    """Return what a rule has found, for its bundle; nothing where it has found nothing."""
    return cast("T", multiple()) if found is None else found


def all_of(found: Iterable[T]) -> T:
    """Return everything that a rule has found, for its bundle."""
    return cast("T", multiple(*found))
