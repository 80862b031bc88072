"""How traces are switched on, and that nothing of OpenTelemetry is there otherwise."""

import logging
import os
import re
import subprocess
import sys
import threading
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import loguru
import pytest
from opentelemetry.instrumentation.auto_instrumentation._load import _load_instrumentors
from opentelemetry.instrumentation.distro import DefaultDistro
from opentelemetry.trace import format_trace_id

from failsoft.job_engine.tracing import UNTRACED, Untraced, tracer, use_tracer
from failsoft.ledger.database.database import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.telemetry import TraceFilter, add_trace_ids, instrument, patch_trace_ids
from failsoft.telemetry.tracing.tracer import OtelTracer
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.processes.beats import Beats
from failsoft.worker.supervision.maintenance import MaintenanceProcess
from failsoft.worker.tracing import FLUSH_SECONDS, trace_if_wanted
from failsoft.worker.wiring import build
from tests.otel.conftest import Spans
from tests.otel.reading import context

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "traces.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(*words: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_that_is_not_traced_imports_nothing_of_opentelemetry(tmp_path: Path) -> None:
    program = (
        "import sys, failsoft.api, failsoft.worker.process, failsoft.telemetry\n"
        "failsoft.api.dispatch_job\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    assert run("-c", program, cwd=tmp_path).strip() == "[]"


def test_the_program_of_the_page_writes_the_spans_of_its_dispatch(tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text(BLOCKS[0])
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    env = {"FAILSOFT_LEDGER_URL": url, "FAILSOFT_ENGINES": "ledger", "FAILSOFT_JOBS": "orders"}
    database = Database(url)
    upgrade(database)
    database.close()

    shown = run("orders.py", cwd=tmp_path, **env)

    names = re.findall(r'"name": "([^"]*)"', shown)
    assert names[-1] == "dispatch default"
    assert "record ledger" in names


def test_a_setting_switches_traces_on_and_leaves_what_a_program_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        trace_if_wanted(load_settings())
        assert tracer() is UNTRACED
        monkeypatch.setenv("FAILSOFT_OTEL", "true")
        trace_if_wanted(load_settings())
        first = tracer()
        assert isinstance(first, OtelTracer)
        trace_if_wanted(load_settings())
        assert tracer() is first
    finally:
        use_tracer(UNTRACED)


def test_automatic_instrumentation_finds_and_calls_the_entry_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [e.name for e in entry_points(group="opentelemetry_instrumentor")]
    monkeypatch.setenv(
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        ",".join(name for name in others if name != "failsoft"),
    )
    try:
        _load_instrumentors(DefaultDistro())
        assert isinstance(tracer(), OtelTracer)
    finally:
        use_tracer(UNTRACED)


def test_log_lines_of_a_program_have_the_ids_of_the_current_span(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(TraceFilter())
    lines = list[dict[str, object]]()
    patched = loguru.logger.patch(patch_trace_ids)  # type: ignore[arg-type]
    sink = loguru.logger.add(lambda message: lines.append(message.record["extra"]))
    try:
        with spans.tracer.start_as_current_span("request"):
            logging.getLogger("program").warning("within")
            patched.info("within")
            shown = add_trace_ids(None, "info", {"event": "within"})
        logging.getLogger("program").warning("outside")
    finally:
        loguru.logger.remove(sink)

    trace_id = format_trace_id(context(spans.one("request")).trace_id)
    assert [vars(each)["trace_id"] for each in caplog.records] == [trace_id, ""]
    assert lines[0]["trace_id"] == shown["trace_id"] == trace_id


def test_a_provider_that_does_not_end_its_sending_holds_up_no_end_of_a_process(
    spans: Spans,
) -> None:
    asked, let_go = list[int](), threading.Event()

    class Provider:
        def get_tracer(self, *names: object, **more: object) -> object:
            return spans.tracer

        def force_flush(self, timeout_millis: int) -> None:
            asked.append(timeout_millis)
            let_go.wait()

    instrument(tracer_provider=Provider())  # type: ignore[arg-type]
    tracer().flush(0.01)

    assert asked == [10]
    let_go.set()


def test_maintenance_that_stops_sends_its_spans(sqlite_url: str) -> None:
    flushed = list[float]()

    class Noting(Untraced):
        def flush(self, seconds: float) -> None:
            flushed.append(seconds)

    with closing(Database(sqlite_url)) as database:
        upgrade(database)
    with closing(build(Settings(ledger_url=sqlite_url, engines="ledger"))) as app:
        process = MaintenanceProcess(app, Beats())
        process._stopping.set()
        use_tracer(Noting())
        try:
            process.run()
        finally:
            use_tracer(UNTRACED)

    assert flushed == [FLUSH_SECONDS]
