"""What makes some process reach each crash point, and how its job must end."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.crash_points import COMMITS, DEEDS
from failsoft.job_engine.records.job import JobRecord, Ticket, WorkerRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from tests.crash_points.replaced_workers import ENGINES, Crew
from tests.deployments.deployment import Stage
from tests.jobs.crash_point_jobs import Act, crossing, waiting

BRIEF = timedelta(milliseconds=200)
HOUR = timedelta(hours=1)
#: Nobody listens there.
NOWHERE = "redis://127.0.0.1:1/0"
ACT = Act(steps=2)
#: Takes longer than a worker waits before it renews.
SLOW_ACT = Act(steps=2, pace=0.6)


class Scenario(NamedTuple):
    """How a point is reached by a job of that id, and what is left to do afterwards."""

    begin: Callable[[Stage, Crew, str], object]
    then: Callable[[Stage, Crew, str], object] = lambda stage, crew, job_id: None
    ends: JobState = JobState.SUCCEEDED


def run(stage: Stage, crew: Crew, job_id: str) -> None:
    stage.app.dispatcher.dispatch(crossing, ACT, job_id=job_id)


def run_slowly(stage: Stage, crew: Crew, job_id: str) -> None:
    stage.app.dispatcher.dispatch(crossing, SLOW_ACT, job_id=job_id)


def run_later(stage: Stage, crew: Crew, job_id: str) -> None:
    stage.app.dispatcher.dispatch(crossing, ACT, job_id=job_id, delay=BRIEF)


def dispatch(stage: Stage, crew: Crew, job_id: str) -> None:
    crew.act("dispatch", job_id)


def dispatch_again(stage: Stage, crew: Crew, job_id: str) -> None:
    """Do what a caller does who saw no answer: the same dispatch again, under the same id."""
    stage.app.dispatcher.dispatch(crossing, ACT, job_id=job_id)


def dispatch_to_nobody(stage: Stage, crew: Crew, job_id: str) -> None:
    crew.act("dispatch-to-rq", job_id, FAILSOFT_REDIS_URL=NOWHERE)


def cancel(stage: Stage, crew: Crew, job_id: str) -> None:
    # Dispatched here, where nothing is armed: a crash at another cell's dispatch is not for it.
    stage.app.dispatcher.dispatch(crossing, ACT, job_id=job_id, delay=HOUR)
    crew.act("cancel", job_id)


def cancel_again(stage: Stage, crew: Crew, job_id: str) -> None:
    stage.app.ledger.cancel(job_id, "a person")


def lose_the_message(stage: Stage, crew: Crew, job_id: str) -> None:
    record(stage, job_id)


def lose_the_worker(stage: Stage, crew: Crew, job_id: str) -> None:
    record(stage, job_id)
    claim(stage, stage.app.ledger.get(job_id))


def lose_every_worker(stage: Stage, crew: Crew, job_id: str) -> None:
    """Lose two leases by hand; the rescuers find the third."""
    record(stage, job_id)
    for _ in range(2):
        claim(stage, stage.app.ledger.get(job_id), HOUR)
        stage.app.ledger.offer(stage.app.ledger.get(job_id), OfferPlan("rq", HOUR, "lease lost"))
    claim(stage, stage.app.ledger.get(job_id))


def wait_in_a_queue(stage: Stage, crew: Crew, job_id: str) -> None:
    """Wait behind somebody else's message on a queue whose worker is busy for ever."""
    stage.app.ledger.beat(WorkerRecord("busy", "rq", "narrow", "here", 1, 1), HOUR)
    stage.app.dispatcher.dispatch(waiting, ACT, job_id=job_id)


def record(stage: Stage, job_id: str) -> None:
    new = NewJob(job_id, crossing.name, "threads", ACT.model_dump_json(), "0" * 64)
    stage.app.ledger.record_job(new, OfferPlan("rq", BRIEF))


def claim(stage: Stage, job: JobRecord, lease: timedelta = BRIEF) -> None:
    ticket = Ticket(job.id, job.epoch, "rq", "threads", f"{job.id}-{job.epoch}", "a ghost", lease)
    assert stage.app.ledger.claim(ticket) is not None


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        **{name: Scenario(run) for name in ("claim", "begin", "step", "conclude", "body", "ack")},
        "dispatch": Scenario(dispatch, dispatch_again),
        "engine": Scenario(dispatch, dispatch_again),
        "renew": Scenario(run_slowly),
        "offer": Scenario(run_later),
        "reoffer": Scenario(lose_the_message),
        "recover": Scenario(lose_the_worker),
        "exhaust": Scenario(lose_every_worker, ends=JobState.FAILED),
        "park": Scenario(dispatch_to_nobody, dispatch_again),
        "postpone": Scenario(wait_in_a_queue, cancel_again, JobState.CANCELLED),
        "cancel": Scenario(cancel, cancel_again, JobState.CANCELLED),
    }
)

assert set(SCENARIOS) == {*COMMITS, *DEEDS}
assert set(ENGINES) == {"rq", "dramatiq"}


def handle(stage: Stage, job_id: str) -> JobHandle[int]:
    """Take a job into the evidence."""
    job = stage.app.ledger.get(job_id)
    definition = waiting if job.name == waiting.name else crossing
    return JobHandle(job, definition, stage.app.ledger, stage.app.clock)
