"""F47: an upgrade that is killed at every point, under load, and run again."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import verify
from tests.deployments.deployment import ROOT
from tests.integration.upgrades.killed_upgrade import BATCHES, POINTS
from tests.integration.upgrades.load_programs import Load
from tests.integration.upgrades.next_release import ADDITIVE
from tests.servers.processes import PATIENCE, Processes, wait_until

#: More than the batches of the backfill after which it is killed.
BEFORE = 140
#: One point in so many kills in `make test`; with `-m long` each does.
SAMPLED = 5


@pytest.mark.fault("F47")
@pytest.mark.parametrize(
    "every", [SAMPLED, pytest.param(1, marks=pytest.mark.long)], ids=["sampled", "everywhere"]
)
def test_an_upgrade_that_is_killed_gets_through_and_holds_no_program_up(
    ledger_url: str, processes: Processes, tmp_path: Path, every: int
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        with Load(database) as load:
            wait_until(lambda: len(load.accepted) > BEFORE or load.errors, PATIENCE, "some jobs")
            before = list(load.accepted)
            env = {
                "PYTHONPATH": str(ROOT),
                "_FAILSOFT_TEST_TRAP": str(tmp_path / "trap"),
                "_FAILSOFT_TEST_BATCH": "40",
            }
            words = (
                "-m",
                "tests.integration.upgrades.killed_upgrade",
                ledger_url,
                str(tmp_path),
                str(every),
            )
            program = processes.python(*words, env=env)
            assert program.wait(2 * PATIENCE) == 0, program.tail

        assert load.errors == []
        check(database)
        assert {job.id for job in SqlLedger(database).list_jobs(limit=10**6)} == set(load.accepted)
        assert set(before) <= coloured(database)
        assert facts(database) == {"host", "ledger_id", "minimum_revision"}
        assert [found for checked in verify(database) for found in checked.violations] == []
        again = upgrade(database, migrations=ADDITIVE)
        assert (again.before, again.revision) == ("0099", "0099")
    assert (tmp_path / "trap").exists()
    points = [json.loads(line) for line in (tmp_path / POINTS).read_text().splitlines()]
    assert [killed for *_, killed in points].count(True) == len(points) // every > 2
    steps = {step for _, step, *_ in points}
    assert {"table failsoft_colours", "columns colour, shade", "backfill colours"} <= steps
    assert {"index ix_failsoft_jobs_colour", "index ix_failsoft_jobs_shade"} <= steps
    assert [phase for *_, phase, _ in points].count("rows") == BATCHES


def coloured(database: Database) -> set[str]:
    statement = text("SELECT job_id FROM failsoft_colours")
    return set(database.read(lambda c: c.execute(statement).scalars().all()))


def facts(database: Database) -> set[str]:
    statement = text("SELECT key FROM failsoft_info")
    return set(database.read(lambda c: c.execute(statement).scalars().all()))
