"""Counters are exact whatever is killed, and never fall; brokers that are away change nothing."""

from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.upkeep.pruning import SqlPruner
from tests.deployments.deployment import PATIENCE, SHORT_LEASE, Deployment
from tests.jobs.scripted import Script, in_thread
from tests.metrics.exposition import counters, value
from tests.metrics.scraping import exporting
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

pytestmark = [
    pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True),
    pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True),
]

ENDED, DISPATCHED = "failsoft_jobs_ended_total", "failsoft_jobs_dispatched_total"
COUNTED = "failsoft_dispatch_seconds_count", "failsoft_steps_total"
NOW = Retention(age=timedelta(0), count=0)


def test_counters_are_exact_over_a_killed_worker_pruning_and_a_restart(
    deployment: Deployment, gate: Path
) -> None:
    rq, _ = deployment.workers("threads", **SHORT_LEASE)
    cut_off = deployment.dispatch(in_thread, Script(halt_at=1, gate=str(gate)))
    deployment.wait_for_step(cut_off, "step-1")
    rq.process.kill()
    gate.touch()
    deployment.dispatch_many(5, in_thread)
    deployment.wait_for_ends()
    key = {"idempotency_key": "once"}
    for _ in range(3):
        deployment.dispatch(in_thread, **key)
    deployment.wait_for_ends()

    with exporting(deployment, "--no-probe") as first:
        first.wait_until(DISPATCHED, 7, disposition="created")
        first.wait_until("failsoft_leases_lost_total", 1, engine="rq")
        first.wait_until(ENDED, 7, outcome="succeeded")
        first.wait_until(DISPATCHED, 2, disposition="existing")
        moved = {each.id: each.job().handoffs for each in deployment.handles}
        page = first.wait_until("failsoft_handovers_total", sum(moved.values()))
        assert value(page, "failsoft_retries_total", cause="crash") == 1
        assert [value(page, name) for name in COUNTED] == [9, 7]
    pruner = SqlPruner(deployment.app.ledger.database)
    assert pruner.prune("in-thread", JobState.SUCCEEDED, NOW, 100) >= 6
    with exporting(deployment, "--no-probe") as second:
        after = second.page()

    assert value(after, ENDED, outcome="succeeded") == 7
    assert {
        key: (was, after.get(key))
        for key, was in counters(page).items()
        if after.get(key, -1) < was
    } == {}


def test_a_page_says_the_same_with_every_broker_down(
    deployment: Deployment, valkey: Valkey, second_valkey: Valkey, gate: Path
) -> None:
    deployment.workers("threads")
    deployment.dispatch_many(2, in_thread)
    deployment.dispatch(in_thread, Script(halt_at=1, gate=str(gate)))
    with exporting(deployment) as exporter:
        exporter.wait_until("failsoft_worker_busy", 1)
        gate.touch()
        deployment.wait_for_ends()
        exporter.wait_until("failsoft_worker_busy", 0)
        exporter.wait_until("failsoft_job_run_seconds_count", 3, outcome="succeeded")
        exporter.wait_until("failsoft_engine_up", 2)
        valkey.kill()
        second_valkey.kill()

        exporter.wait_until("failsoft_engine_up", 0)
        page = wait_until(exporter.page, PATIENCE, "a page")
        assert value(page, ENDED, outcome="succeeded") == 3
        assert value(page, "failsoft_job_wait_seconds_count") == 3
        assert value(page, "failsoft_job_latency_seconds_count") == 3
        assert value(page, "failsoft_scrape_ok") == 1
