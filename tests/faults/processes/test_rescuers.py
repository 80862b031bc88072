"""F25 and F30: rescuers that meet, that wake up late, and that find a long queue."""

import threading
from datetime import timedelta
from time import monotonic

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.dispatcher.maintenance.late_offers import MOVES_AT_ONCE, MOVES_PER_SECOND, PACED
from failsoft.job_engine.errors import JobCrashedError
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_one_authority
from tests.faults.support import ON_SQLITE, close
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

BRIEF = timedelta(milliseconds=300)
LONG = timedelta(hours=1)
#: A busy machine's worth of slack for what the token bucket gave meanwhile.
SLACK = 20
LOOKS = 5


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    # Redis is there, and is to be given every job, however long a busy machine takes for it.
    environment.setenv("FAILSOFT_DISPATCH_BUDGET", "15s")
    return environment


@pytest.mark.fault("F25")
def test_a_rescuer_that_wakes_with_a_stale_view_changes_nothing(deployment: Deployment) -> None:
    handle = dead_job(deployment)
    stale = handle.job()

    other = build(load_settings(), deployment.events.append)
    rescue(other, handle)
    plan = OfferPlan("rq", LONG, "lease lost")
    late = (
        deployment.app.ledger.offer(stale, plan),
        deployment.app.ledger.park(stale, LONG, "no engine takes offers"),
        deployment.app.ledger.exhaust(stale, ErrorRecord.of(JobCrashedError("crash loop"))),
    )
    close(other)

    assert late == (None, None, None)
    assert deployment.kinds(handle).count("recover") == 1
    assert_one_authority(deployment, handle)


@pytest.mark.fault("F25")
def test_rescuers_that_look_at_once_recover_each_job_once(deployment: Deployment) -> None:
    handles = [dead_job(deployment) for _ in range(10)]
    apps = [build(load_settings(), deployment.events.append) for _ in range(3)]

    threads = [threading.Thread(target=rescue, args=(app, *handles)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for app in apps:
        close(app)

    assert [deployment.kinds(each).count("recover") for each in handles] == 10 * [1]
    assert {each.job().crashes for each in handles} == {1}


MANY = pytest.mark.parametrize(
    "count",
    [300, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)


@pytest.mark.fault("F30")
@ON_SQLITE
@MANY
def test_a_long_queue_before_live_workers_is_no_storm(
    deployment: Deployment, valkey: Valkey, count: int
) -> None:
    for engine in ("rq", "dramatiq"):
        deployment.pretend(engine, "threads")
    handles = deployment.dispatch_many(count, in_thread)

    look_until(deployment, lambda: any(each.job().pickups_missed for each in handles[:50]))
    for _ in range(LOOKS):
        deployment.app.maintenance.tick()

    # The first of the queue was looked into, on whichever engine. The others only wait.
    assert sum(bool(each.job().pickups_missed) for each in handles) <= LOOKS
    # On a busy machine a dispatch may have moved a job on; no rescuer has.
    assert all(each.job().epoch == each.dispatched.epoch for each in handles)


@pytest.mark.fault("F30")
@ON_SQLITE
@MANY
def test_a_long_queue_that_no_worker_serves_any_more_moves_at_a_limited_rate(
    deployment: Deployment, count: int
) -> None:
    ghost = deployment.pretend("rq", "threads")
    handles = deployment.dispatch_many(count, in_thread, engines=("rq", "dramatiq"))
    deployment.pretend("dramatiq", "threads")
    deployment.app.ledger.retire(ghost.boot_id)

    began = monotonic()
    look_until(deployment, lambda: any(each.job().handoffs for each in handles))
    moved = [each for each in handles if each.job().handoffs]

    assert len(moved) <= MOVES_AT_ONCE + MOVES_PER_SECOND * (monotonic() - began) + SLACK
    # The last event may be another: on a busy machine an engine may not answer in time.
    reasons = [each.detail.get("reason") for each in deployment.app.ledger.events(moved[0].id)]
    assert PACED in reasons


@pytest.mark.fault("F30")
@ON_SQLITE
@MANY
def test_a_long_queue_of_an_engine_that_is_known_to_be_dead_moves_at_once(
    deployment: Deployment, valkey: Valkey, count: int
) -> None:
    for engine in ("rq", "dramatiq"):
        deployment.pretend(engine, "threads")
    handles = deployment.dispatch_many(count, in_thread, engines=("rq", "dramatiq"))

    valkey.kill()
    look_until(deployment, lambda: all(each.job().engine == "dramatiq" for each in handles[::50]))
    look_until(deployment, lambda: not deployment.app.ledger.count_offers("rq", "threads"))

    assert {each.job().handoffs for each in handles} == {1}


def dead_job(deployment: Deployment) -> JobHandle[int]:
    """A job whose worker has died."""
    handle = deployment.dispatch(in_thread)
    job = handle.job()
    # On a busy machine the dispatch may have moved it on.
    ticket = Ticket(
        handle.id, job.epoch, str(job.engine), "threads", handle.id, "a dead worker", BRIEF
    )
    assert deployment.app.ledger.claim(ticket) is not None
    return handle


def rescue(app: App, *handles: JobHandle[int]) -> None:
    def all_recovered() -> bool:
        app.maintenance.tick()
        return all(app.ledger.get(each.id).epoch > 1 for each in handles)

    wait_until(all_recovered, PATIENCE, "every job is recovered")


def look_until(deployment: Deployment, condition: object) -> None:
    assert callable(condition)

    def looked() -> bool:
        deployment.app.maintenance.tick()
        return bool(condition())

    wait_until(looked, 20 * PATIENCE, "the rescuer has looked")
