"""What the tests of a worker's parts work with: a ledger in memory with a job that is offered."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from failsoft.job_engine import JobState, QueueProfile
from failsoft.job_engine.policies.limits import NO_LIMITS, Limits
from failsoft.job_engine.records.job import Claim, Ticket
from failsoft.job_engine.records.message import KeyRing, Message
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.telemetry import Event
from failsoft.testing import FrozenClock, MemoryLedger

LEASE = timedelta(seconds=40)
QUEUE = QueueProfile("default", lease=LEASE)


@dataclass
class OfferedJob:
    """A ledger, its clock and what was emitted."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.clock)
        self.keys = KeyRing(self.ledger.signing_keys, self.clock)

    def offer(
        self,
        job_id: str = "job-1",
        name: str = "work",
        payload: str = "{}",
        limits: Limits = NO_LIMITS,
    ) -> Message:
        """Record a job that is offered to RQ, and return its message."""
        job = NewJob(job_id, name, QUEUE.name, payload, "sha", limits=limits)
        self.ledger.record_job(job, OfferPlan("rq", timedelta(seconds=10)))
        return self.keys.sign(job_id, 1, "rq")

    def claim(self, job_id: str = "job-1", **job: Any) -> Claim:
        """Record a job that is claimed already."""
        self.offer(job_id, **job)
        ticket = Ticket(job_id, 1, "rq", QUEUE.name, f"claim-of-{job_id}", "worker", LEASE)
        claim = self.ledger.claim(ticket)
        assert claim is not None
        return claim

    def state(self, job_id: str = "job-1") -> JobState:
        return self.ledger.get(job_id).state

    def kinds(self) -> list[str]:
        """The kinds of what was emitted."""
        return [event.kind for event in self.events]
