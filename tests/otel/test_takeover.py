"""Traces of jobs that go on with another engine, on real servers and in real processes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from failsoft.job_engine.records.trace_context import PARENT, carrier_of
from tests.deployments.deployment import PATIENCE, Deployment, Worker
from tests.jobs.traced import (
    ALONE,
    HURRIED,
    QUEUE,
    STEPS,
    Order,
    fulfil,
    fulfil_alone,
    fulfil_dying,
    fulfil_hurried,
)
from tests.otel.conftest import Spans
from tests.otel.reading import context
from tests.otel.sentry_file import SENTRY, transactions
from tests.otel.span_file import VARIABLE, read
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

Line = Mapping[str, Any]


@pytest.fixture
def ledger_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def addresses(
    upgraded_ledger_url: str, valkey: Valkey, second_valkey_url: str, tmp_path: Path
) -> dict[str, str]:
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_REDIS_URL": valkey.url,
        "FAILSOFT_AMQP_URL": second_valkey_url,
        "FAILSOFT_JOBS": "tests.jobs.traced",
        VARIABLE: str(tmp_path / "spans"),
    }


def ended(path: Path, beginning: str) -> list[Line]:
    return [each for each in read(path) if each["name"].startswith(beginning)]


def attribute(span: Line, name: str) -> object:
    return span["attributes"].get(f"failsoft.{name}")


def links(span: Line) -> set[tuple[object, str]]:
    """Return what a span links to: why, and the id of the span."""
    return {
        (each["attributes"]["failsoft.link"], each["context"]["span_id"]) for each in span["links"]
    }


def begin(deployment: Deployment, gate: Path) -> Worker:
    """Start a worker of each engine; return RQ's, which has a job in its second step."""
    workers = deployment.workers(QUEUE.name)
    deployment.handles.append(deployment.app.dispatcher.dispatch(fulfil, Order(gate=str(gate))))
    wait_until(gate.with_suffix(".met").exists, PATIENCE, "the second step runs")
    return workers[0]


def test_a_job_whose_redis_is_killed_half_way_has_one_dispatch_two_attempts_and_each_step_once(
    deployment: Deployment, spans: Spans, valkey: Valkey, gate: Path
) -> None:
    begin(deployment, gate)
    valkey.kill()
    gate.touch()
    deployment.wait_for_ends()
    file = Path(os.environ[VARIABLE])
    wait_until(lambda: len(ended(file, "process")) == 2, PATIENCE, "two attempts have ended")

    first, second = ended(file, "process")
    dispatch = f"0x{context(spans.one('dispatch')).span_id:016x}"
    assert [attribute(each, "engine") for each in (first, second)] == ["rq", "dramatiq"]
    assert [attribute(each, "outcome") for each in (first, second)] == ["retry", "succeed"]
    assert first["parent_id"] is second["parent_id"] is None
    assert links(first) == {("dispatch", dispatch)}
    assert links(second) == {("dispatch", dispatch), ("previous", first["context"]["span_id"])}
    assert attribute(second, "resumed.steps") == 2
    assert [each["name"] for each in ended(file, "step ")] == [f"step {step}" for step in STEPS]


def test_the_late_spans_of_a_frozen_worker_are_fenced(
    deployment: Deployment, spans: Spans, gate: Path, tmp_path: Path
) -> None:
    rq = begin(deployment, gate)
    deployment.freeze(rq)
    file = tmp_path / "spans"
    wait_until(lambda: ended(file, "process"), PATIENCE, "the other engine has carried on")
    rq.process.thaw()
    gate.touch()
    wait_until(lambda: len(ended(file, "process")) == 2, PATIENCE, "the late attempt has ended")

    in_time, late = ended(file, "process")
    assert [attribute(each, "engine") for each in (in_time, late)] == ["dramatiq", "rq"]
    assert [attribute(each, "outcome") for each in (in_time, late)] == ["succeed", "fenced"]
    assert ("lost", late["context"]["span_id"]) in links(in_time)
    outcomes = {(each["name"], attribute(each, "outcome")) for each in ended(file, "step charge")}
    assert outcomes == {("step charge", None), ("step charge", "fenced")}


def test_the_process_of_an_attempt_sends_its_spans_before_it_ends(
    deployment: Deployment, spans: Spans, tmp_path: Path
) -> None:
    deployment.wait_for(deployment.worker("dramatiq", ALONE.name))
    order = deployment.app.dispatcher.dispatch(fulfil_alone, Order())
    deployment.handles.append(order)
    deployment.wait_for_ends()
    file = tmp_path / "spans"
    wait_until(lambda: ended(file, "process"), PATIENCE, "the attempt's span is there")

    (process,) = ended(file, "process")
    (attempt,) = deployment.app.ledger.attempts(order.id)
    dispatch = f"0x{context(spans.one('dispatch')).span_id:016x}"
    assert links(process) == {("dispatch", dispatch)}
    assert len(ended(file, "step ")) == len(STEPS)
    assert process["context"]["span_id"][2:] in carrier_of(attempt.trace_context)[PARENT]


def test_an_attempt_whose_process_is_killed_has_its_span_from_the_worker(
    deployment: Deployment, spans: Spans, tmp_path: Path
) -> None:
    deployment.wait_for(deployment.worker("dramatiq", ALONE.name))
    deployment.handles.append(deployment.app.dispatcher.dispatch(fulfil_dying, Order()))
    deployment.wait_for_ends()
    file = tmp_path / "spans"
    wait_until(lambda: len(ended(file, "process")) == 2, PATIENCE, "two attempts have ended")

    killed, second = ended(file, "process")
    reserve = next(each for each in ended(file, "step ") if each["name"] == "step reserve")
    assert [attribute(each, "outcome") for each in (killed, second)] == ["crash", "succeed"]
    assert attribute(killed, "process.died") is True
    assert killed["context"]["trace_id"] == reserve["context"]["trace_id"]
    assert killed["parent_id"] == reserve["parent_id"]
    assert ("previous", killed["context"]["span_id"]) in links(second)


def test_an_attempt_whose_process_is_slow_to_exit_has_one_span(
    deployment: Deployment, spans: Spans, tmp_path: Path
) -> None:
    worker = deployment.worker("dramatiq", HURRIED.name)
    deployment.wait_for(worker)
    deployment.handles.append(deployment.app.dispatcher.dispatch(fulfil_hurried, Order()))
    deployment.wait_for_ends()
    # It waits for the process, which exits several renewals after its end was recorded.
    worker.process.terminate(deadline=PATIENCE)

    (found,) = ended(tmp_path / "spans", "process")
    assert (attribute(found, "outcome"), attribute(found, "process.died")) == ("succeed", None)


def test_lines_of_a_worker_name_the_trace_that_they_belong_to(
    deployment: Deployment, spans: Spans, tmp_path: Path
) -> None:
    worker = deployment.worker("dramatiq", QUEUE.name)
    deployment.wait_for(worker)
    deployment.handles.append(deployment.app.dispatcher.dispatch(fulfil, Order()))
    deployment.wait_for_ends()
    wait_until(lambda: worker.logged("job.succeed"), PATIENCE, "the end is logged")
    file = tmp_path / "spans"
    wait_until(lambda: ended(file, "process"), PATIENCE, "the attempt's span is there")

    (process,) = ended(file, "process")
    (line,) = worker.logged("job.succeed")
    assert f"0x{line['trace_id']}" == process["context"]["trace_id"]
    assert f"0x{line['span_id']}" == process["context"]["span_id"]


def test_sentry_has_one_transaction_of_each_attempt_beside_its_integrations(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SENTRY, str(tmp_path / "sentry"))
    deployment.workers(QUEUE.name)
    for engine in ("rq", "dramatiq"):
        order = deployment.app.dispatcher.dispatch(fulfil, Order(), engines=(engine,))
        deployment.handles.append(order)
    deployment.wait_for_ends()
    file = tmp_path / "sentry"
    wait_until(lambda: len(transactions(file)) >= 2, PATIENCE, "two transactions are sent")

    steps = [f"step {step}" for step in STEPS]
    assert transactions(file) == [(f"process {QUEUE.name}", steps)] * 2
