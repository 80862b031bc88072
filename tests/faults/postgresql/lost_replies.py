"""What a PostgreSQL ledger does, one job each, broken at any statement or commit."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import event

from failsoft.job_engine.records.job import (
    Claim,
    Conclusion,
    JobRecord,
    StepKind,
    StepRecord,
    Ticket,
)
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import SUCCEED
from failsoft.ledger import Database, SqlLedger
from tests.servers.postgresql.drivers import watched

LEASE = timedelta(minutes=1)
PLAN = OfferPlan("rq", LEASE)
OTHER = OfferPlan("dramatiq", LEASE, "a test")
STEP = StepRecord("step", 0, StepKind.RUN, '"done"', epoch=1)


@dataclass
class LedgerCalls:
    """One job of a ledger, brought to where an operation begins."""

    ledger: SqlLedger
    job_id: str

    def record(self) -> object:
        new = NewJob(self.job_id, "a-job", "default", "{}", "0" * 64)
        job, _ = self.ledger.record_job(new, PLAN)
        return job.id == self.job_id

    def claim(self) -> Claim:
        ticket = Ticket(self.job_id, 1, "rq", "default", self.job_id, "a worker", LEASE)
        claim = self.ledger.claim(ticket)
        assert claim is not None
        return claim

    def seen(self) -> JobRecord:
        return self.ledger.get(self.job_id)


@dataclass(frozen=True)
class Operation:
    """A step of the protocol: what comes before it, itself, and the history it must leave."""

    name: str
    before: Callable[[LedgerCalls], Any]
    run: Callable[[LedgerCalls, Any], object]
    leaves: tuple[str, ...]


def _claimed(calls: LedgerCalls) -> Claim:
    calls.record()
    return calls.claim()


def _offered(calls: LedgerCalls) -> JobRecord:
    calls.record()
    return calls.seen()


def _abandoned(calls: LedgerCalls) -> JobRecord:
    _claimed(calls)
    return calls.seen()


OPERATIONS = (
    Operation("dispatch", lambda _: None, lambda s, _: s.record(), ("dispatch",)),
    Operation("claim", lambda s: s.record(), lambda s, _: s.claim(), ("dispatch", "claim")),
    Operation(
        "begin",
        _claimed,
        lambda s, claim: s.ledger.begin(claim, "step", 0) == [],
        ("dispatch", "claim"),
    ),
    Operation(
        "memo",
        _claimed,
        lambda s, claim: (
            s.ledger.record(claim, STEP) is None and len(s.ledger.steps(s.job_id)) == 1
        ),
        ("dispatch", "claim"),
    ),
    Operation(
        "renew",
        _claimed,
        lambda s, claim: s.ledger.renew([claim]) == [claim],
        ("dispatch", "claim"),
    ),
    Operation(
        "finish",
        _claimed,
        lambda s, claim: s.ledger.conclude(claim, Conclusion(SUCCEED, result="1")),
        ("dispatch", "claim", "succeed"),
    ),
    Operation(
        "cancel",
        _offered,
        lambda s, _: s.ledger.cancel(s.job_id, "a person"),
        ("dispatch", "cancel"),
    ),
    Operation(
        "re-offer", _offered, lambda s, seen: s.ledger.offer(seen, OTHER), ("dispatch", "reoffer")
    ),
    Operation(
        "park", _offered, lambda s, seen: s.ledger.park(seen, LEASE, "a test"), ("dispatch", "park")
    ),
    Operation(
        "recover",
        _abandoned,
        lambda s, seen: s.ledger.offer(seen, OTHER),
        ("dispatch", "claim", "recover"),
    ),
)

#: A compare-and-set that was made and is made again finds the job moved on: by itself. Whoever
#: made it then leaves the job to the next rescuer, as if another had been faster.
MAY_SEEM_LOST = frozenset({"re-offer", "park", "recover"})


@dataclass
class Moments:
    """The moments at which an engine speaks to its server; one of them may be sabotaged."""

    act: Callable[[], object] = lambda: None
    at: int = 0
    met: int = field(default=0, init=False)

    def meet(self, connection: object) -> None:
        self.met += 1
        if self.met == self.at:
            self.act()


@contextmanager
def met(database: Database, moments: Moments, *kinds: str) -> Iterator[None]:
    """Meet the moments of these kinds, `statement` and `commit`, while a block runs."""
    with ExitStack() as stack:
        if "statement" in kinds:
            stack.enter_context(watched(database, moments.meet))
        if "commit" in kinds:
            event.listen(database.engine, "commit", moments.meet)
            stack.callback(event.remove, database.engine, "commit", moments.meet)
        yield
