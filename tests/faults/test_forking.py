"""F35: a process forks while it has the ledger open, as RQ's own worker does for each job."""

import json
from contextlib import closing

import pytest

from tests.faults.forking import JOBS
from tests.integration.acceptance.stage import ROOT
from tests.servers.processes import Processes
from understudy.ledger import Database, SqlLedger
from understudy.ledger.upgrading import upgrade

HERE = {"PYTHONPATH": str(ROOT)}


@pytest.mark.fault("F35")
def test_a_forked_child_opens_a_connection_of_its_own(
    processes: Processes, ledger_url: str
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        program = processes.python("-m", "tests.faults.forking", ledger_url, env=HERE)
        assert program.wait() == 0, program.tail

        assert len(SqlLedger(database).list_jobs(limit=10 * JOBS)) == 2 * JOBS
        told = [json.loads(line) for line in program.output.splitlines()]
        if not database.is_sqlite:
            assert sorted(before == after for before, after in told) == [False, True]
