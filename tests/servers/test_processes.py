"""Processes that tests start are distinguished from their orphans, and end with them."""

import os
import signal

import pytest

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from tests.servers.processes import PATIENCE, Processes, is_alive, wait_until
from tests.servers.valkey import Valkey


def test_a_process_takes_its_orphans_with_it(processes: Processes) -> None:
    parent = processes.start("sh", "-c", "(setsid sleep 60 & sleep 60) & echo up; wait")
    parent.wait_for_output("up")
    wait_until(lambda: len(parent.tree()) >= 3, PATIENCE, "the grandchildren run")
    family = parent.tree()

    os.kill(parent.pid, signal.SIGKILL)
    parent.kill()

    assert not any(map(is_alive, family))


def test_a_process_that_does_not_end_shows_its_log(processes: Processes) -> None:
    stubborn = processes.start("sh", "-c", "trap '' TERM; echo I stay; sleep 60; sleep 60")
    stubborn.wait_for_output("I stay")

    with pytest.raises(AssertionError, match="I stay"):
        stubborn.terminate(deadline=0.1)


def test_a_forked_module_ends_with_its_own_status_in_its_own_log(processes: Processes) -> None:
    wrong = processes.fork("failsoft.worker.process", "rq", "nowhere", env={"USE_RQ": "perhaps"})

    assert wrong.wait() == 78
    assert "USE_RQ: expected" in wrong.output
    assert "perhaps" in wrong.output
    assert not wrong.is_running


def test_a_forked_module_is_killed_like_any_process(
    processes: Processes, sqlite_url: str, valkey: Valkey
) -> None:
    env = {"FAILSOFT_LEDGER_URL": sqlite_url, "FAILSOFT_REDIS_URL": valkey.url}
    database = Database(sqlite_url)
    upgrade(database)
    database.close()
    worker = processes.fork("failsoft.worker.process", "rq", "data-sync", env=env)
    worker.wait_for_output("worker.start")
    family = worker.tree()

    worker.freeze()
    worker.thaw()
    worker.kill()

    assert worker.wait() == -signal.SIGKILL
    assert len(family) > 1
    assert not any(map(is_alive, family))
