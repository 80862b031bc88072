"""The ledger is an engine, too: the last one while both brokers are down, or the only one."""

import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import TextClause, text

from failsoft.job_engine import JobState
from tests.deployments.deployment import SHORT_LIFE, Deployment
from tests.deployments.promises import assert_each_ran_once
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

JOBS = 1_000
#: How soon the first job begins after the last breaker has opened, in microseconds.
SOON = 1_000_000

ENGINES = text("SELECT engine, count(*) FROM failsoft_attempts GROUP BY engine")

ON_VALKEY = pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True)


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("FAILSOFT_ENGINES", "rq,dramatiq,ledger")
    return environment


@pytest.fixture
def deployment_without_brokers(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Deployment:
    environment.setenv("FAILSOFT_ENGINES", "ledger")
    for name in ("FAILSOFT_REDIS_URL", "FAILSOFT_AMQP_URL"):
        environment.delenv(name)
    deployment: Deployment = request.getfixturevalue("deployment")
    return deployment


@ON_VALKEY
def test_jobs_run_on_the_ledger_while_both_brokers_are_down(
    deployment: Deployment, valkey: Valkey, second_valkey: Valkey
) -> None:
    deployment.workers("threads")
    deployment.wait_for(deployment.worker("ledger", "threads"))
    before = deployment.dispatch_many(3, in_thread)
    deployment.wait_for_ends()
    assert {handle.job().engine for handle in before} == {"rq"}
    valkey.kill()
    second_valkey.kill()

    first = deployment.dispatch(in_thread)
    opened_at = time.time_ns() // 1000
    found = deployment.app.dispatcher.dispatch_many(in_thread, [Script()] * (JOBS - 1))
    ids = {first.id, *(each.handle.id for each in found if each.handle is not None)}
    wait_until(lambda: _succeeded(deployment) == JOBS + len(before), PATIENCE, "all have ended")

    assert deployment.engines_of("engine.failed_over") == ["rq", "dramatiq"]
    assert deployment.tries(first)[-1] == ("ledger", "offer", "accepted")
    begun = [line for line in deployment.effect_log.begun() if line.job_id in ids]
    assert min(line.wall for line in begun) - opened_at <= SOON
    assert Counter(line.job_id for line in begun) == dict.fromkeys(ids, 1)
    ledger = deployment.app.ledger
    kinds = {event.kind for each in ids for event in ledger.events(each)}
    assert "claim" in kinds
    assert kinds.isdisjoint({"park", "recover", "crash_out"})
    assert _counted(deployment, ENGINES) == {"rq": len(before), "ledger": JOBS}


@ON_VALKEY
def test_a_job_that_rq_loses_goes_on_in_the_ledger_after_its_last_finished_step(
    deployment: Deployment, valkey: Valkey, second_valkey: Valkey, gate: Path
) -> None:
    rq, _ = deployment.workers("threads", FAILSOFT_LEASE="2s", **SHORT_LIFE)
    deployment.wait_for(deployment.worker("ledger", "threads"))
    handle = deployment.dispatch(in_thread, Script(steps=3, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(handle, "step-2")

    valkey.kill()
    second_valkey.kill()
    rq.process.kill()
    deployment.wait_for_ends()

    assert deployment.state(handle.id) is JobState.SUCCEEDED
    assert deployment.effect_log.engines(handle.id) == ["rq", "ledger"]
    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 2, "step-3": 1}


@ON_VALKEY
def test_jobs_run_with_no_broker_at_all(
    deployment_without_brokers: Deployment, valkey: Valkey, second_valkey: Valkey
) -> None:
    deployment = deployment_without_brokers
    worker = deployment.worker("ledger", "threads")
    deployment.wait_for(worker)

    handles = deployment.dispatch_many(5, in_thread)
    handles.append(deployment.dispatch(in_thread, Script(steps=2, nap=0.5)))
    deployment.wait_for_ends()

    assert deployment.tries(handles[0]) == [("ledger", "offer", "accepted")]
    assert valkey.keys() == second_valkey.keys() == set()
    assert worker.count("message.refused") == 0
    assert_each_ran_once(deployment)
    assert _counted(deployment, ENGINES).keys() == {"ledger"}


@ON_VALKEY
def test_two_workers_are_given_no_job_twice(deployment_without_brokers: Deployment) -> None:
    deployment = deployment_without_brokers
    workers = [deployment.worker("ledger", "threads") for _ in range(2)]
    deployment.wait_for(*workers)

    deployment.app.dispatcher.dispatch_many(in_thread, [Script()] * 200)
    wait_until(lambda: _succeeded(deployment) == 200, PATIENCE, "all have ended")

    assert [worker.count("message.refused") for worker in workers] == [0, 0]
    assert len({line.pid for line in deployment.effect_log.begun()}) == 2


def _succeeded(deployment: Deployment) -> int:
    return deployment.app.ledger.counts().get(JobState.SUCCEEDED, 0)


def _counted(deployment: Deployment, statement: TextClause) -> dict[str, int]:
    rows = deployment.app.ledger.database.read(lambda c: c.execute(statement).all())
    return {str(name): int(count) for name, count in rows}
