"""The list of metrics in the docs, and the page of an exporter."""

import re
import threading
from datetime import timedelta

import pytest

from failsoft.job_engine.records.states import JobState
from failsoft.telemetry import Exporter, metrics_wsgi
from failsoft.telemetry.catalogue import METRICS
from failsoft.telemetry.job_names import OTHER, JobNames
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import ended, new_job, plan
from tests.metrics import page
from tests.metrics.exposition import figures, value
from tests.metrics.test_alerts import promtool


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def ledger(clock: FrozenClock) -> MemoryLedger:
    return MemoryLedger(clock)


@pytest.fixture
def exporter(ledger: MemoryLedger, clock: FrozenClock) -> Exporter:
    return Exporter(ledger, database="memory", clock=clock)


def shown(exporter: Exporter, name: str, **labels: str) -> float:
    return value(figures(exporter.page().body.decode()), name, **labels)


def test_the_list_in_the_docs_is_current() -> None:
    text = page.PAGE.read_text()

    assert page.with_table(text) == text, "run python -m tests.metrics.page"


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


def test_wsgi_answers_get_and_head_and_refuses_the_rest(exporter: Exporter) -> None:
    app, said = metrics_wsgi(exporter), list[str]()

    def answer(method: str) -> bytes:
        environ = {"REQUEST_METHOD": method}
        return b"".join(app(environ, lambda status, headers: said.append(status)))

    assert b"failsoft_scrape_ok" in answer("GET")
    assert answer("HEAD") == b""
    assert answer("POST") == b""
    assert said == ["200 OK", "200 OK", "405 Method Not Allowed"]
