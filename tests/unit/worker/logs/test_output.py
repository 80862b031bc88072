"""What is logged, in which form, and what is not."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
import structlog

from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.telemetry import Event
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.logs.output import bound_to, configure_logs, log_event
from tests.unit.worker.attempts.offered_job import OfferedJob

CHATTERS = ("rq", "rq.worker", "rq.job", "dramatiq", "alembic", "httpx", "pika", "watchfiles")
FAILURE = ErrorRecord("shop.TornPageError", "torn", "Traceback ...\nshop.TornPageError: torn\n")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Leave the logging of the tests as it was."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in CHATTERS)]
    levels = [logger.level for logger in loggers]
    handlers = list(root.handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    root.handlers[:] = handlers
    structlog.contextvars.clear_contextvars()


class Screen:
    """A standard error that is no terminal, and what stands on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        self._stream = StringIO()
        monkeypatch.setattr(sys, "stderr", self._stream)
        configure_logs(load_settings(**settings))

    def text(self) -> str:
        return self._stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch, log_format="auto")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch, log_format="console")


def fail_to_print(letters: str = "hunter2") -> None:
    """Raise an error from a frame whose variables must not be logged."""
    raise ValueError(f"torn after {len(letters)} letters")


def test_a_program_gets_each_event_as_one_json_object(screen: Screen) -> None:
    detail = {"attempt": 2, "worker": "w-1"}
    log_event(Event("job.claim", "job-1", "work", "default", "rq", 3, detail))

    (line,) = screen.lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "job.claim",
        "message": "job job-1 (work) is claimed by worker w-1 of rq, attempt 2",
        "level": "info",
        "logger": "failsoft",
        "job_id": "job-1",
        "job": "work",
        "queue": "default",
        "engine": "rq",
        "epoch": 3,
        "attempt": 2,
        "worker": "w-1",
    }


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("job.succeed", "info"),
        ("job.retry", "warning"),
        ("job.crash", "warning"),
        ("job.fail", "error"),
        ("job.hold", "error"),
        ("message.refused", "info"),
        ("message.rejected", "warning"),
        ("engine.failed_over", "warning"),
        ("engine.failed_back", "warning"),
    ],
)
def test_what_needs_a_person_is_louder(screen: Screen, kind: str, level: str) -> None:
    log_event(Event(kind))

    assert screen.lines()[0]["level"] == level


def test_a_final_failure_brings_its_recorded_traceback(screen: Screen) -> None:
    log_event(Event("job.fail", error=FAILURE))

    (line,) = screen.lines()
    assert (line["error_type"], line["exception"]) == (FAILURE.type, FAILURE.traceback)


def test_people_read_the_traceback_line_by_line(terminal: Screen) -> None:
    log_event(Event("job.fail", error=FAILURE))

    assert "\n  | Traceback ...\n  | shop.TornPageError: torn\n" in terminal.text()


def test_every_line_of_a_job_names_it_and_no_other_line_does(screen: Screen) -> None:
    claim = OfferedJob().claim()

    with bound_to(claim):
        logging.getLogger("shop").info("inside %s", "it")
    logging.getLogger("shop").info("outside")

    inside, outside = screen.lines()
    assert inside["message"] == "inside it"
    assert (inside["job_id"], inside["job"], inside["attempt"]) == ("job-1", "work", 1)
    assert (inside["queue"], inside["engine"], inside["epoch"]) == ("default", "rq", 1)
    assert "job_id" not in outside


def test_a_job_that_fails_leaves_its_name_on_no_other(screen: Screen) -> None:
    with suppress(ValueError), bound_to(OfferedJob().claim()):
        fail_to_print()

    logging.getLogger("shop").info("outside")

    assert "job_id" not in screen.lines()[0]


def test_an_exception_that_a_job_logs_is_one_line_for_programs(screen: Screen) -> None:
    try:
        fail_to_print()
    except ValueError:
        logging.getLogger("shop").exception("a page was torn", extra={"page": 7})

    (line,) = screen.lines()
    assert (line["message"], line["page"]) == ("a page was torn", 7)
    assert line["exception"].endswith("ValueError: torn after 7 letters")


def test_people_are_not_shown_the_values_of_variables(terminal: Screen) -> None:
    try:
        fail_to_print()
    except ValueError:
        logging.getLogger("shop").exception("a page was torn")

    assert "ValueError: torn after 7 letters" in terminal.text()
    assert "hunter2" not in terminal.text()


def test_what_json_does_not_know_is_logged_all_the_same(screen: Screen) -> None:
    logging.getLogger("shop").info("odd", extra={"thing": {1, 2} - {2}})

    assert screen.lines()[0]["thing"] == "{1}"


def test_the_engines_own_accounts_of_a_job_are_left_out(screen: Screen) -> None:
    for name in ("rq.worker", "pika"):
        logging.getLogger(name).error("their view")
    for name in ("httpx", "watchfiles.main", "alembic.runtime"):
        logging.getLogger(name).info("their news")

    assert screen.lines() == []


def test_a_broker_that_repeats_itself_is_heard_once_a_minute(screen: Screen) -> None:
    for _ in range(3):
        logging.getLogger("dramatiq.worker").error("connection lost, again")
        logging.getLogger("shop").error("sold out")

    assert [line["message"] for line in screen.lines()] == [
        "connection lost, again",
        *["sold out"] * 3,
    ]


def test_the_level_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, log_level="WARNING")

    log_event(Event("job.claim"))
    log_event(Event("job.retry"))

    assert [line["event"] for line in screen.lines()] == ["job.retry"]


def test_a_job_without_its_code_here_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = {"reason": "unknown job", "state": "scheduled"}
    with caplog.at_level(logging.INFO, "failsoft"):
        for job_id in ("one", "two"):
            log_event(Event("job.release", job_id, "only-logged-once", "default", detail=given))

    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.getMessage() for each in warned] == [
        "no job only-logged-once is known here: they wait for a worker that has it; see doctor"
    ]
