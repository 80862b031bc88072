"""A flood of lines is logged as its first line and a number; nothing is lost from the sum."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from failsoft.worker.logs.rate_limits import BURSTS, MOST_REASONS, OTHERS, FloodGate
from tests.servers.processes import wait_until

KIND = "message.rejected"
LONG = timedelta(hours=1)
PATIENCE = 30.0


class Log:
    """What was logged, by kind and fields."""

    def __init__(self, interval: timedelta = LONG) -> None:
        self.lines: list[tuple[str, Mapping[str, Any]]] = []
        self.gate = FloodGate(lambda *line: self.lines.append(line), interval)

    def add(self, reason: str, kind: str = KIND) -> None:
        fields = {"queue": "default"}
        if self.gate.passes(kind, reason, fields):
            self.lines.append((kind, fields | {"reason": reason}))

    @property
    def sum(self) -> int:
        return sum(fields.get("suppressed", 1) for _, fields in self.lines)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.mark.fault("F49")
def test_the_first_of_each_reason_is_logged_and_the_others_are_counted(log: Log) -> None:
    for _ in range(500):
        log.add("wrong MAC")
    log.add("too long")

    assert len(log.lines) == 2
    log.gate.flush()
    assert len(log.lines) == 3
    assert log.lines[-1] == (
        KIND,
        {"queue": "default", "reason": "wrong MAC", "suppressed": 499},
    )
    assert log.sum == 501


def test_a_count_is_logged_when_its_interval_ends_though_the_flood_has_ended() -> None:
    log = Log(timedelta(milliseconds=20))

    log.add("wrong MAC")
    log.add("wrong MAC")

    wait_until(lambda: log.sum == 2, PATIENCE, "the count is logged")
    log.add("wrong MAC")
    assert "suppressed" not in log.lines[-1][1]


@pytest.mark.fault("F49")
def test_reasons_without_end_share_a_line(log: Log) -> None:
    for number in range(10_000):
        log.add(f"reason {number}")
    log.gate.flush()

    assert len(log.lines) <= MOST_REASONS + 2
    assert log.lines[-1][1]["reason"] == OTHERS
    assert log.sum == 10_000


def test_what_no_stranger_can_cause_is_never_counted(log: Log) -> None:
    for _ in range(1000):
        log.add("", kind="job.claim")

    assert len(log.lines) == 1000
    assert KIND in BURSTS


def test_a_flush_without_a_flood_logs_nothing(log: Log) -> None:
    log.add("wrong MAC")
    log.gate.flush()

    assert log.sum == 1
