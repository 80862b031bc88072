"""What makes some process reach each crash point, and how its job must end."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.job_engine.crash_points import COMMITS, DEEDS
from failsoft.job_engine.jobs.scheduled.bulk_action import take_turns
from failsoft.job_engine.ports.console import BulkAction, BulkState, NewBulk
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import JobRecord, Ticket, WorkerRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.testing.ledger_suite.fixtures import FAILURE
from tests.crash_points.replaced_workers import ENGINES, ReplacedWorkers
from tests.deployments.deployment import Deployment
from tests.jobs.crash_point_jobs import Script, crossing, waiting

BRIEF = timedelta(milliseconds=200)
HOUR = timedelta(hours=1)
#: Longer than a process takes to start and dispatch.
START_UP = timedelta(seconds=10)
#: No server listens there.
NOWHERE = "redis://127.0.0.1:1/0"
SCRIPT = Script(steps=2)
#: Takes longer than a worker waits before it renews.
SLOW_SCRIPT = Script(steps=2, pace=0.6)


class Scenario(NamedTuple):
    """How a point is reached by a job of that id, and what is left to do afterwards."""

    begin: Callable[[Deployment, ReplacedWorkers, str], object]
    then: Callable[[Deployment, ReplacedWorkers, str], object] = (
        lambda deployment, workers, job_id: None
    )
    ends: JobState = JobState.SUCCEEDED


def run(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    deployment.app.dispatcher.dispatch(crossing, SCRIPT, job_id=job_id)


def run_slowly(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    deployment.app.dispatcher.dispatch(crossing, SLOW_SCRIPT, job_id=job_id)


def run_later(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    deployment.app.dispatcher.dispatch(crossing, SCRIPT, job_id=job_id, delay=BRIEF)


def dispatch(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    workers.start_role("dispatch", job_id)


def dispatch_again(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """Do what a caller does who saw no answer: the same dispatch again, under the same id."""
    deployment.app.dispatcher.dispatch(crossing, SCRIPT, job_id=job_id)


def dispatch_to_nobody(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    workers.start_role("dispatch-to-rq", job_id, FAILSOFT_REDIS_URL=NOWHERE)


def dispatch_past_redis(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """Let the first engine fail, so that the dispatch hands the job over to the second.

    Another cell may end the engine's worker, and an engine without workers gets no offer.
    """
    deployment.app.ledger.beat(WorkerRecord("another", "rq", "threads", "here", 1, 1), START_UP)
    workers.start_role("dispatch", job_id, FAILSOFT_REDIS_URL=NOWHERE)


def cancel(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    # Dispatched here, where nothing is armed: a crash at another cell's dispatch is not for it.
    deployment.app.dispatcher.dispatch(crossing, SCRIPT, job_id=job_id, delay=HOUR)
    workers.start_role("cancel", job_id)


def cancel_again(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    deployment.app.ledger.cancel(job_id, "a person")


def cancel_all(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """Let another process take the turns of a bulk of this job and two others, a job a turn."""
    for each in bulk_of(job_id):
        deployment.app.dispatcher.dispatch(crossing, SCRIPT, job_id=each, delay=HOUR)
    wanted: JobFilter = {"id": job_id}
    bulk = NewBulk(job_id, BulkAction.CANCEL, wanted, 3, "a person", "a test")
    deployment.app.ledger.bulk_start(bulk)
    workers.start_role("bulk", job_id)


def go_on_with_the_bulk(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """Take its turns here, as what follows a process that died would.

    Each job is counted once and cancelled once, whether or not the turn cut off was committed.
    """
    ledger = deployment.app.ledger
    bulk = take_turns(ledger, job_id, deployment.app.clock)
    assert (bulk.state, bulk.done, bulk.failed) == (BulkState.DONE, 3, 0), bulk
    for each in bulk_of(job_id):
        kinds = [event.kind for event in ledger.events(each)]
        assert (ledger.get(each).state, kinds.count("cancel")) == (JobState.CANCELLED, 1), kinds


def bulk_of(job_id: str) -> tuple[str, ...]:
    return job_id, f"{job_id}-b", f"{job_id}-c"


def lose_the_message(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    record(deployment, job_id)


def lose_the_worker(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    record(deployment, job_id, HOUR)
    claim(deployment, deployment.app.ledger.get(job_id))


def lose_every_worker(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """Lose two leases by hand; the rescuers find the third."""
    record(deployment, job_id, HOUR)
    for _ in range(2):
        claim(deployment, deployment.app.ledger.get(job_id), HOUR)
        deployment.app.ledger.offer(
            deployment.app.ledger.get(job_id), OfferPlan("rq", HOUR, "lease lost")
        )
    claim(deployment, deployment.app.ledger.get(job_id))


def wait_in_a_queue(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """Wait behind another's message on a queue whose worker is busy for ever."""
    deployment.app.ledger.beat(WorkerRecord("busy", "rq", "narrow", "here", 1, 1), HOUR)
    deployment.app.dispatcher.dispatch(waiting, SCRIPT, job_id=job_id)


def fail(deployment: Deployment, workers: ReplacedWorkers, job_id: str) -> None:
    """End a job here, where nothing is armed; a worker tells of it."""
    record(deployment, job_id, HOUR)
    job = deployment.app.ledger.get(job_id)
    ticket = Ticket(job.id, job.epoch, "rq", "threads", f"{job.id}-1", "a ghost", HOUR)
    claim = deployment.app.ledger.claim(ticket)
    assert claim is not None
    deployment.app.ledger.conclude(claim, FAILURE)


def record(deployment: Deployment, job_id: str, pickup: timedelta = BRIEF) -> None:
    new = NewJob(job_id, crossing.name, "threads", SCRIPT.model_dump_json(), "0" * 64)
    deployment.app.ledger.record_job(new, OfferPlan("rq", pickup))


def claim(deployment: Deployment, job: JobRecord, lease: timedelta = BRIEF) -> None:
    ticket = Ticket(job.id, job.epoch, "rq", "threads", f"{job.id}-{job.epoch}", "a ghost", lease)
    assert deployment.app.ledger.claim(ticket) is not None


#: The points that every job reaches.
RUN_THROUGH = ("take", "claim", "begin", "step", "conclude", "body", "ack")
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        **{name: Scenario(run) for name in RUN_THROUGH},
        "dispatch": Scenario(dispatch, dispatch_again),
        "engine": Scenario(dispatch, dispatch_again),
        "renew": Scenario(run_slowly),
        "offer": Scenario(run_later),
        "reoffer": Scenario(dispatch_past_redis, dispatch_again),
        "move": Scenario(lose_the_message),
        "recover": Scenario(lose_the_worker),
        "exhaust": Scenario(lose_every_worker, ends=JobState.FAILED),
        "park": Scenario(dispatch_to_nobody, dispatch_again),
        "postpone": Scenario(wait_in_a_queue, cancel_again, JobState.CANCELLED),
        "cancel": Scenario(cancel, cancel_again, JobState.CANCELLED),
        "bulk": Scenario(cancel_all, go_on_with_the_bulk, JobState.CANCELLED),
        "tell": Scenario(fail, ends=JobState.FAILED),
    }
)

assert set(SCENARIOS) == {*COMMITS, *DEEDS}
assert set(ENGINES) == {"rq", "dramatiq"}


def handle(deployment: Deployment, job_id: str) -> JobHandle[int]:
    """Take a job into the evidence."""
    job = deployment.app.ledger.get(job_id)
    definition = waiting if job.name == waiting.name else crossing
    return JobHandle(job, definition, deployment.app.ledger, deployment.app.clock)
