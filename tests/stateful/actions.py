"""What the machine lets happen, with both ledgers."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.policies.limits import NO_LIMITS, Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import (
    Conclusion,
    DispatchTry,
    JobRecord,
    StepKind,
    StepRecord,
    Ticket,
)
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import HOLD, JobState
from failsoft.testing.ledger_suite.fixtures import ERROR, QUEUE, new_job
from tests.stateful.attempt import Attempt
from tests.stateful.databases import Bench
from tests.stateful.pair import Fault, Pair

LEASE = timedelta(seconds=60)
PICKUP = timedelta(seconds=10)
ALL = 100


class LedgerActions:
    """One ledger beside the one in memory, the jobs in both, and the tickets ever issued."""

    def __init__(self, bench: Bench) -> None:
        self.pair = Pair(bench)
        self.tickets: list[Ticket] = []
        self.recorded = 0
        self.done_again = 0

    def dispatch(
        self,
        engine: str | None,
        fault: Fault = None,
        *,
        key: str | None = None,
        delay: timedelta | None = None,
        expires_in: timedelta | None = None,
        limits: Limits = NO_LIMITS,
        unique: UniqueKey | None = None,
    ) -> JobRecord | None:
        new = new_job(id=f"job-{self.recorded}", expires_in=expires_in, limits=limits)
        job = replace(new, idempotency_key=key, delay=delay, unique=unique)
        plan = None if engine is None else OfferPlan(engine, PICKUP, "a test")
        answer = self.pair.ask(
            "dispatch", lambda x: x.record_job(job, plan), fault, same=lambda answer: answer[0]
        )
        if answer is None:
            return None
        self.recorded += answer[0].id == job.id
        return answer[0]

    def dispatch_like(self, job: JobRecord) -> None:
        """Dispatch a job of another id with the same unique key, if there is one."""
        if job.unique_key is not None and job.unique_scope is not None:
            self.dispatch(None, unique=UniqueKey(job.unique_key, job.unique_scope))

    def start(
        self, engine: str, limits: Limits = NO_LIMITS, *, unique: UniqueKey | None = None
    ) -> Attempt | None:
        job = self.dispatch(engine, limits=limits, unique=unique)
        return None if job is None else self.claim(self.issue(job, engine))

    def issue(self, job: JobRecord, engine: str) -> Ticket:
        """Return what a worker shows that got the message of an offer."""
        claim_id = f"claim-{len(self.tickets)}"
        ticket = Ticket(job.id, job.epoch, engine, job.queue, claim_id, claim_id, LEASE)
        self.tickets.append(ticket)
        return ticket

    def claim(self, ticket: Ticket, fault: Fault = None) -> Attempt | None:
        claim = self.pair.ask("claim", lambda x: x.claim(ticket), fault, same=lambda answer: answer)
        return None if claim is None else Attempt(ticket, claim)

    def begin(self, attempt: Attempt, fault: Fault = None) -> None:
        step = attempt.step
        found = self.pair.ask(
            "begin", lambda x: x.begin(attempt.claim, step.name, step.seq), fault, same=list
        )
        if found:
            attempt.go_on()
        elif found is not None:
            attempt.begun = True

    def record(self, attempt: Attempt, fault: Fault = None) -> None:
        done = self.pair.ask("record", lambda x: _recorded(x, attempt), fault, same=str)
        if done is not None:
            attempt.go_on()

    def conclude(self, attempt: Attempt, conclusion: Conclusion, fault: Fault) -> None:
        self.pair.ask(
            "conclude", lambda x: x.conclude(attempt.claim, conclusion), fault, same=JobState
        )

    def renew(self, attempts: Iterable[Attempt], fault: Fault) -> None:
        claims = [attempt.claim for attempt in attempts]
        self.pair.ask(
            "renew", lambda x: sorted(c.claim_id for c in x.renew(claims)), fault, same=list
        )

    def replace(self, job: JobRecord, delay: timedelta, fault: Fault) -> JobRecord | None:
        """Dispatch again what was seen to wait."""
        if not job.is_unbegun:
            return None
        new = new_job(id=job.id, payload='{"user_id": 8}', delay=delay, expires_in=2 * delay)
        return self.pair.ask("replace", lambda x: x.replace(job, new), fault)

    def expire(self, fault: Fault) -> None:
        """End what should have begun by now."""
        late = self.pair.ask("expired", lambda x: list(x.expired(ALL)))
        for job in late or ():
            self.pair.ask("expire", partial(_expire, job), fault)

    def rescue(self, engine: str, fault: Fault = None) -> Iterator[JobRecord]:
        """Hand over what has lost its lease, or give it up."""
        running = self.pair.ask("running", lambda x: sorted(x.running(), key=lambda r: r.job_id))
        for lost in (found for found in running or () if found.expired):
            job = self.look(lost.job_id)
            if job.crashes + 1 >= MAX_CRASHES:
                self.exhaust(job, fault)
            else:
                yield from self.offer(job, engine, fault)

    def take_over(self, attempt: Attempt, engine: str) -> Attempt | None:
        """Let an attempt lose its lease, and another one claim its job."""
        self.pair.pass_time(2 * LEASE)
        moved = [job for job in self.rescue(engine) if job.id == attempt.claim.job_id]
        return self.claim(self.issue(moved[0], engine)) if moved else None

    def offer_what_waits(self, engine: str, fault: Fault) -> Iterator[JobRecord]:
        """Offer what is due, and again what was not picked up."""
        late = self.pair.ask("unclaimed", lambda x: sorted(x.unclaimed(ALL), key=lambda j: j.id))
        due = self.pair.ask("due", lambda x: sorted(x.due(ALL), key=lambda j: j.id))
        for job in (*(late or ()), *(due or ())):
            yield from self.offer(job, engine, fault)

    def offer(
        self, job: JobRecord, engine: str, fault: Fault = None, *, if_room: bool = False
    ) -> Iterator[JobRecord]:
        plan = OfferPlan(engine, PICKUP, "a test", if_room)
        moved = self.pair.ask("offer", lambda x: x.offer(job, plan), fault)
        if moved is not None:
            yield moved

    def move(
        self, jobs: Iterable[JobRecord], engine: str, fault: Fault = None
    ) -> Iterator[JobRecord]:
        """Hand over those of many jobs that are still offered as they were seen."""
        seen, plan = list(jobs), OfferPlan(engine, PICKUP, "a test")
        yield from self.pair.ask("move", lambda x: list(x.offer_many(seen, plan)), fault) or ()

    def movable(self, engine: str, to: str) -> list[JobRecord]:
        """Find what waits at an engine and may be handed over to another one."""
        found = self.pair.ask(
            "movable",
            lambda x: sorted(x.movable(engine, QUEUE, ALL, to=(to,), handoffs_below=ALL), key=_id),
        )
        self.pair.ask("oldest_offers", lambda x: sorted(j.engine for j in x.oldest_offers()))
        self.pair.ask("begun_lately", lambda x: x.begun_lately(engine, LEASE))
        return found or []

    def exhaust(self, job: JobRecord, fault: Fault) -> None:
        self.pair.ask("exhaust", lambda x: x.exhaust(job, ERROR), fault)

    def park(self, job: JobRecord, delay: timedelta, fault: Fault) -> None:
        self.pair.ask("park", lambda x: x.park(job, delay, "nobody took it"), fault)

    def cancel(self, job_id: str, fault: Fault) -> None:
        self.pair.ask("cancel", lambda x: x.cancel(job_id, "a client"), fault)

    def hold(self, attempt: Attempt, fault: Fault) -> None:
        """Begin a `once` step and be held for it."""
        self.begin(attempt)
        if attempt.begun:
            doubt = replace(attempt.step, kind=StepKind.INTENT, result="null")
            self.pair.ask("record", lambda x: x.record(attempt.claim, doubt))
        self.conclude(attempt, Conclusion(HOLD, error=ERROR, reason="in doubt"), fault)

    def resolve(self, job: JobRecord, resolution: Resolution, fault: Fault) -> None:
        self.pair.ask("resolve", lambda x: x.resolve(job, resolution), fault)

    def retry(self, retrial: ManualRetry, fault: Fault) -> JobRecord | None:
        """Do ended work again, if it may be done and no job holds its unique key."""
        answer = self.pair.ask(
            "retry", lambda x: x.retry(retrial), fault, same=lambda answer: answer[0]
        )
        if answer is None:
            return None
        self.done_again += answer[1]
        return answer[0]

    def keep_the_books(
        self, job: JobRecord, tried: DispatchTry, span: timedelta, fault: Fault
    ) -> None:
        """Write what changes no state."""
        self.pair.ask("note_tries", lambda x: x.note_tries([(job.id, tried)]), fault)
        self.pair.ask("tries", lambda x: list(x.tries(job.id)))
        self.pair.ask("postpone", lambda x: x.postpone(job, span), fault)

    def any_job(self, number: int) -> JobRecord:
        return self.look(f"job-{number % self.recorded}")

    def any_in(self, state: JobState, number: int) -> JobRecord | None:
        """Return any job that is in a state, if one is."""
        found = self.pair.ask(str(state), lambda x: sorted(x.list_jobs(states=[state]), key=_id))
        return found[number % len(found)] if found else None

    def look(self, job_id: str) -> JobRecord:
        record = self.pair.ask("get", lambda x: x.get(job_id))
        assert record is not None
        return record


def _expire(job: JobRecord, ledger: Ledger) -> JobRecord | None:
    return ledger.expire(job)


def _recorded(ledger: Ledger, attempt: Attempt) -> StepRecord:
    ledger.record(attempt.claim, attempt.step)
    return attempt.step


def _id(job: JobRecord) -> str:
    return job.id
