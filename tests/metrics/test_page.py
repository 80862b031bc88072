"""The page of an exporter."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.ports.measures import Batch, Series
from failsoft.job_engine.records.states import JobState
from failsoft.telemetry import Exporter, metrics_asgi, metrics_wsgi
from failsoft.telemetry.catalogue import METRICS
from failsoft.telemetry.job_names import OTHER, JobNames
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import CONCLUSIONS, ended, new_job, plan, started
from tests.metrics.exposition import figures, value
from tests.metrics.test_alerts import promtool
from tests.servers.processes import PATIENCE, wait_until


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def ledger(clock: FrozenClock) -> MemoryLedger:
    return MemoryLedger(clock)


@pytest.fixture
def exporter(ledger: MemoryLedger, clock: FrozenClock) -> Exporter:
    return Exporter(ledger, database="memory", clock=clock)


def asked(
    exporter: Exporter, method: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Return what the ASGI application answers."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(metrics_asgi(exporter))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, "/any/path", headers=headers)

    return asyncio.run(ask())


async def _awaited(work: Awaitable[None]) -> None:
    await work


def shown(exporter: Exporter, name: str, **labels: str) -> float:
    return value(figures(exporter.page().body.decode()), name, **labels)


def test_prometheus_takes_the_page_as_it_is(exporter: Exporter, ledger: MemoryLedger) -> None:
    ended(ledger, JobState.SUCCEEDED)
    checked = promtool("check", "metrics", given=exporter.page().body.decode())

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_page_has_nothing_that_the_catalogue_has_not(exporter: Exporter) -> None:
    text = exporter.page().body.decode()
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))

    assert families <= {metric.family for metric in METRICS.values()}


def test_openmetrics_is_there_for_those_who_ask(exporter: Exporter) -> None:
    found = exporter.page("application/openmetrics-text; version=1.0.0")

    assert found.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert found.body.endswith(b"# EOF\n")


def test_a_look_counts_for_five_seconds(
    exporter: Exporter, ledger: MemoryLedger, clock: FrozenClock
) -> None:
    ended(ledger, JobState.SUCCEEDED)
    assert shown(exporter, "failsoft_jobs_ended_total") == 1
    ended(ledger, JobState.SUCCEEDED)

    clock.advance(timedelta(seconds=4))
    assert shown(exporter, "failsoft_jobs_ended_total") == 1
    clock.advance(timedelta(seconds=2))
    assert shown(exporter, "failsoft_jobs_ended_total") == 2


def test_a_ledger_that_is_away_leaves_the_last_figures(
    exporter: Exporter, ledger: MemoryLedger, clock: FrozenClock
) -> None:
    ended(ledger, JobState.SUCCEEDED)
    assert shown(exporter, "failsoft_scrape_ok") == 1
    ledger.down()
    clock.advance(timedelta(seconds=6))

    assert shown(exporter, "failsoft_scrape_ok") == 0
    assert shown(exporter, "failsoft_jobs_ended_total") == 1
    ledger.up()
    assert shown(exporter, "failsoft_scrape_ok") == 1


def test_a_ledger_that_hangs_delays_a_scrape_by_two_seconds_and_is_read_by_one_thread(
    exporter: Exporter, ledger: MemoryLedger, clock: FrozenClock
) -> None:
    ended(ledger, JobState.SUCCEEDED)
    shown(exporter, "failsoft_scrape_ok")
    clock.advance(timedelta(seconds=6))
    with ledger.transaction():  # no other thread gets an answer meanwhile
        assert shown(exporter, "failsoft_scrape_ok") == 0
        assert shown(exporter, "failsoft_jobs_ended_total") == 1
        readers = [each for each in threading.enumerate() if each.name == "failsoft-figures"]
        assert len(readers) == 1


def test_more_names_than_are_shown_are_others() -> None:
    names = JobNames(most=2)
    names.meet(["b"])
    names.meet(["a", "c"])

    assert [names.shown(name) for name in "abc"] == ["a", "b", OTHER]


def test_names_with_quotes_and_newlines_are_escaped(
    exporter: Exporter, ledger: MemoryLedger
) -> None:
    name = 'a"b\\c\nd'
    ledger.record_job(new_job(queue=name), plan())

    assert shown(exporter, "failsoft_jobs", queue=name, state="offered") == 1


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 405), ("DELETE", 405)]
)
def test_asgi_answers_get_and_head_and_refuses_the_rest(
    exporter: Exporter, method: str, status: int
) -> None:
    answer = asked(exporter, method)

    assert answer.status_code == status
    assert (b"failsoft_scrape_ok 1.0" in answer.content) is (method == "GET")
    assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)
    assert int(answer.headers["content-length"]) > 0 or status == 405


def test_asgi_answers_with_openmetrics_when_asked(exporter: Exporter) -> None:
    answer = asked(exporter, "GET", {"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_asgi_refuses_what_is_no_http_request(exporter: Exporter) -> None:
    async def never(*given: object) -> Any:
        raise AssertionError(given)

    with pytest.raises(ConfigurationError, match="expected an HTTP request, got 'websocket'"):
        asyncio.run(_awaited(metrics_asgi(exporter)({"type": "websocket"}, never, never)))


def test_rows_are_shown_and_counted_again_after_five_minutes(
    exporter: Exporter, ledger: MemoryLedger, clock: FrozenClock
) -> None:
    def rows() -> float:
        return shown(exporter, "failsoft_ledger_rows", table="jobs")

    ended(ledger, JobState.SUCCEEDED)
    wait_until(lambda: rows() == 1, PATIENCE, "they are counted")
    ended(ledger, JobState.SUCCEEDED)
    clock.advance(timedelta(minutes=4))
    assert rows() == 1
    clock.advance(timedelta(minutes=2))
    wait_until(lambda: rows() == 1 + 1, PATIENCE, "they are counted again")


def test_steps_and_sleeps_are_shown(exporter: Exporter, ledger: MemoryLedger) -> None:
    ledger.conclude(started(ledger), CONCLUSIONS[5])
    series = Series("steps", "send_welcome", labels="run/timed_out")
    ledger.add_measures(Batch("b1", "", {series: 3}))

    assert shown(exporter, "failsoft_waits", kind="sleep") == 1
    assert shown(exporter, "failsoft_waits", kind="event") == 0
    labels = {"job": "send_welcome", "kind": "run", "outcome": "timed_out"}
    assert shown(exporter, "failsoft_steps_total", **labels) == 3


def test_no_label_is_of_one_job(exporter: Exporter) -> None:
    labels = {label for metric in METRICS.values() for label in metric.labels}

    assert labels <= {
        *("queue", "engine", "state", "job", "outcome", "disposition", "stage", "kind", "name"),
        *("from_engine", "to_engine", "reason", "direction", "cause", "table"),
        *("version", "python", "ledger"),
    }


def test_wsgi_answers_get_and_head_and_refuses_the_rest(exporter: Exporter) -> None:
    app, said = metrics_wsgi(exporter), list[str]()

    def answer(method: str) -> bytes:
        environ = {"REQUEST_METHOD": method}
        return b"".join(app(environ, lambda status, headers: said.append(status)))

    assert b"failsoft_scrape_ok" in answer("GET")
    assert answer("HEAD") == b""
    assert answer("POST") == b""
    assert said == ["200 OK", "200 OK", "405 Method Not Allowed"]
