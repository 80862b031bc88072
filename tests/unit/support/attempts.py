"""What many unit tests need: definitions, claims, an attempt, events that are listened to."""

import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from tenacity import wait_fixed

from failsoft.job_engine import Catalogue, Executor, JobContext, JobState, RetryPolicy, job
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.records.job import Claim, JobRecord, Ticket
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.telemetry import Event
from failsoft.testing import FrozenClock, MemoryLedger

HOUR = timedelta(hours=1)
RETRY = RetryPolicy(max_attempts=3, wait=wait_fixed(5))

Body = Callable[[JobContext], Any]


class Mail(BaseModel):
    user_id: int = 7


class EventList(list[Event]):
    """A listener that remembers, and lets something happen when an event comes."""

    then: Callable[[], object] = staticmethod(lambda: None)

    def __call__(self, event: Event) -> None:
        self.append(event)
        self.then()

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self]


def define(body: Body, *, name: str = "welcome", **options: Any) -> AnyDefinition:
    """Make a job of a body that needs no payload."""

    def handler(payload: Mail, ctx: JobContext) -> Any:
        return body(ctx)

    return job(name=name, **{"retry": RETRY, **options})(handler)


class Worker:
    """Counts how often it worked."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def work(self, *args: Any) -> Any:
        self.calls.append(args)
        return {"args": list(args), "call": len(self.calls)}


class AttemptRunner:
    """One job on a ledger in memory, and all it takes to run attempts of it."""

    def __init__(self, body: Body | None = None, **options: Any) -> None:
        self.clock = FrozenClock()
        self.ledger = MemoryLedger(self.clock)
        self.events = EventList()
        self.definitions = [define(body, **options)] if body else []
        self.lease = Lease()
        self.job_id = secrets.token_hex(8)
        new = NewJob(self.job_id, "welcome", "default", '{"user_id": 7}', "5ad1")
        self.ledger.record_job(new, OfferPlan("rq", HOUR))

    @property
    def job(self) -> JobRecord:
        return self.ledger.get(self.job_id)

    @property
    def state(self) -> JobState:
        return self.job.state

    @property
    def step_names(self) -> list[str]:
        return [step.name for step in self.ledger.steps(self.job_id)]

    @property
    def executor(self) -> Executor:
        return Executor(self.ledger, Catalogue(self.definitions), self.clock, self.events)

    def claim(self) -> Claim:
        """Claim the job, offered again if that is what it takes."""
        job = self.job if self.state is JobState.OFFERED else self.offer_again()
        shown = Ticket(job.id, job.epoch, "rq", job.queue, secrets.token_hex(8), "worker-1", HOUR)
        claim = self.ledger.claim(shown)
        assert claim is not None
        return claim

    def offer_again(self) -> JobRecord:
        moved = self.ledger.offer(self.job, OfferPlan("rq", HOUR))
        assert moved is not None
        return moved

    def run(self, body: Body | None = None, **options: Any) -> JobState | None:
        """Run one attempt, of another version of the code if there is one."""
        if body is not None:
            self.definitions = [define(body, **options)]
        self.lease = Lease()
        return self.executor.run(self.claim(), self.lease)

    def context(self) -> JobContext:
        """Return the context of a fresh attempt."""
        self.lease = Lease()
        return JobContext(self.claim(), self.ledger, self.lease, self.clock)


def exit_code_of_a_child(work: Callable[[], int]) -> int:
    """Do the work in a forked child; what it returns is the child's exit code."""
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        code = 70
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
