"""The supervisor's own program: it marks dead workers by processes of their own."""

import json
import os
import sys

import pytest

from failsoft.worker.supervision.program import MOST_NOTICES, NoticeProcesses, announcement
from failsoft.worker.supervision.supervisor import DeadWorker
from tests.servers.processes import PATIENCE, wait_until

DEAD = DeadWorker("boot", "rq", "default", "host", 4711, "")
#: A ledger that is away, and one that answers.
WAITS = (sys.executable, "-c", "import time; time.sleep(3600)")
MARKS = (sys.executable, "-c", "pass")


def test_while_the_ledger_is_away_few_processes_wait_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notices = NoticeProcesses(WAITS, patience=0)
    for _ in range(MOST_NOTICES + 2):
        notices.note(DEAD)
    waiting = list(notices._started)

    notices.finish()

    assert len(waiting) == MOST_NOTICES
    assert [each.poll() for each in waiting] == [-9] * MOST_NOTICES
    assert caplog.text.count("worker boot (pid 4711) is not marked as dead") == 2


def test_those_that_have_ended_make_room() -> None:
    notices = NoticeProcesses(MARKS)
    for _ in range(MOST_NOTICES + 2):
        notices.note(DEAD)
        latest = notices._started[-1]
        wait_until(lambda each=latest: each.poll() is not None, PATIENCE, "its end")

    assert len(notices._started) == 1


def test_a_supervisor_that_ends_waits_for_them() -> None:
    notices = NoticeProcesses((sys.executable, "-c", "import time; time.sleep(0.2)"), PATIENCE)
    notices.note(DEAD)

    notices.finish()

    assert [each.poll() for each in notices._started] == [0]


def test_what_is_served_and_where_it_is_probed_is_announced() -> None:
    serves = ["rq:default", "maintenance"]

    text = announcement(serves, "http://127.0.0.1:8081", as_json=False)
    document = json.loads(announcement(serves, "http://127.0.0.1:8081", as_json=True))

    assert text.startswith("serving rq:default, maintenance; probes at http://127.0.0.1:8081; ")
    assert document == {"pid": os.getpid(), "serves": serves, "health": "http://127.0.0.1:8081"}


def test_without_probes_none_are_announced() -> None:
    assert "probes" not in announcement(["rq:default"], "", as_json=False)
    assert "health" not in json.loads(announcement(["rq:default"], "", as_json=True))
