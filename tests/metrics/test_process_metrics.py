"""The metrics of one process, in the registry of its program."""

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from failsoft.job_engine.telemetry import Event
from failsoft.telemetry import Exporter
from failsoft.telemetry.process_metrics import ProcessMetrics
from failsoft.testing import FrozenClock, MemoryLedger
from tests.metrics.exposition import figures, value
from tests.metrics.test_alerts import promtool

TRACE = 0x0AF7651916CD43DD8448EB211C80319C
ENDED = Event("job.succeed", "job-1", "welcome", "default", "rq", 1, {"duration_s": 0.02})


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def listener(registry: CollectorRegistry) -> ProcessMetrics:
    return ProcessMetrics(registry)


def test_events_and_runs_are_counted(registry: CollectorRegistry, listener: ProcessMetrics) -> None:
    listener(Event("engine.failed_over", engine="rq"))
    listener(ENDED)
    listener(ENDED)
    page = figures(generate_latest(registry).decode())

    events, runs = "failsoft_process_events_total", "failsoft_process_job_run_seconds"
    assert value(page, events, kind="engine.failed_over", engine="rq") == 1
    assert value(page, events, kind="job.succeed", queue="default") == 1 + 1
    assert value(page, f"{runs}_count", job="welcome") == 1 + 1
    assert value(page, f"{runs}_bucket", job="welcome", le="0.025") == 1 + 1
    assert value(page, f"{runs}_bucket", job="welcome", le="0.01") == 0


def test_prometheus_takes_them_as_they_are_and_none_is_the_exporters(
    registry: CollectorRegistry, listener: ProcessMetrics
) -> None:
    listener(ENDED)
    text = generate_latest(registry).decode()
    checked = promtool("check", "metrics", given=text)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    others = Exporter(MemoryLedger(FrozenClock())).page().body.decode()
    assert not {name for name, _ in figures(text)} & {name for name, _ in figures(others)}


@pytest.mark.parametrize("flags", [TraceFlags.SAMPLED, TraceFlags.DEFAULT])
def test_a_run_that_is_traced_is_an_exemplar(
    registry: CollectorRegistry, listener: ProcessMetrics, flags: int
) -> None:
    context = SpanContext(TRACE, 1, is_remote=False, trace_flags=TraceFlags(flags))
    with use_span(NonRecordingSpan(context)):
        listener(ENDED)

    text = openmetrics(registry).decode()
    assert (f'# {{trace_id="{TRACE:032x}"}} 0.02' in text) is (flags == TraceFlags.SAMPLED)


def test_a_run_without_a_trace_is_none(
    registry: CollectorRegistry, listener: ProcessMetrics
) -> None:
    listener(ENDED)

    assert "trace_id" not in openmetrics(registry).decode()
