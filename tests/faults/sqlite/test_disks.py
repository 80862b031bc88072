"""F32 and F33: the disk of a SQLite ledger is full, or forgets what was not synced."""

import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from tests.deployments.deployment import PATIENCE, ROOT, Deployment
from tests.deployments.promises import assert_promises_kept
from tests.faults.sqlite.power_loss import DURABLE
from tests.faults.support import ON_SQLITE
from tests.jobs.scripted import Script, in_thread
from tests.servers.processes import Processes, wait_until

#: More than a page or two.
LARGE = 60_000
JOBS = 40
HERE = {"PYTHONPATH": str(ROOT)}


@pytest.mark.fault("F33")
def test_accepted_jobs_survive_a_power_loss(tmp_path: Path, processes: Processes) -> None:
    accepted, left = after_a_power_loss(tmp_path, processes)

    assert len(accepted) == JOBS
    assert accepted == left


def test_the_power_loss_would_show_a_ledger_that_does_not_sync(
    tmp_path: Path, processes: Processes
) -> None:
    accepted, left = after_a_power_loss(tmp_path, processes, "synchronous = NORMAL")

    assert len(accepted) == JOBS
    assert left < accepted


def after_a_power_loss(
    folder: Path, processes: Processes, *pragma: str
) -> tuple[set[str], set[str]]:
    """Dispatch until the power goes; return what was accepted and what is left."""
    before, after = folder / "before.db", folder / "after.db"
    with closing(Database(f"sqlite:///{before}")) as database:
        upgrade(database)
        database.engine.dispose()
    shutil.copy(before, f"{before}{DURABLE}")
    words = ("-m", "tests.faults.sqlite.power_loss", str(before), str(JOBS), *pragma)
    program = processes.python(*words, env=HERE)
    assert program.wait() == -9, program.tail

    for suffix in ("", "-wal"):
        durable = Path(f"{before}{suffix}{DURABLE}")
        if durable.exists():
            shutil.copy(durable, f"{after}{suffix}")
    with closing(Database(f"sqlite:///{after}")) as database:
        assert_sound(database)
        left = {job.id for job in SqlLedger(database).list_jobs(limit=2 * JOBS)}
    return set(program.output.split()), left


def assert_sound(database: Database) -> None:
    found = database.read(lambda c: c.execute(text("PRAGMA integrity_check")).scalars().all())
    assert found == ["ok"]


@pytest.mark.fault("F32")
@ON_SQLITE
def test_on_a_full_disk_nothing_is_accepted_and_what_runs_gives_up_in_time(
    deployment: Deployment, gate: Path
) -> None:
    rq = deployment.worker("rq", "threads", FAILSOFT_LEASE="3s")
    deployment.wait_for(rq)
    handle = deployment.dispatch(in_thread, Script(steps=3, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(handle, "step-2")
    database = deployment.app.ledger.database

    with no_room_for(database, os.getpid(), rq.process.pid):
        with pytest.raises(LedgerUnavailableError):
            deployment.app.dispatcher.dispatch(in_thread, Script(), job_id="refused")
        gate.touch()
        wait_until(lambda: rq.logged("job.fenced"), PATIENCE, "the attempt gives up")
    deployment.wait_for_ends()

    assert deployment.effect_log.times_begun(handle.id) == {"step-1": 1, "step-2": 2, "step-3": 1}
    assert [job.id for job in deployment.app.ledger.list_jobs()] == [handle.id]
    assert_sound(database)
    assert_promises_kept(deployment)


@pytest.mark.fault("F32")
def test_a_database_that_sqlite_calls_full_accepts_nothing(sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database:
        upgrade(database)
        event.listen(database.engine, "checkout", let_grow_no_more)
        ledger = SqlLedger(database)
        large = NewJob("large", "a-job", "default", f'"{LARGE * "x"}"', "0" * 64)

        with pytest.raises(LedgerUnavailableError, match="database or disk is full"):
            ledger.record_job(large, OfferPlan("rq", timedelta(minutes=1)))
        assert ledger.list_jobs() == []
        assert_sound(database)


def let_grow_no_more(connection: sqlite3.Connection, *rest: object) -> None:
    # SQLite takes it as: not below what there is.
    connection.execute("PRAGMA max_page_count = 1").close()


@contextmanager
def no_room_for(database: Database, *pids: int) -> Iterator[None]:
    """Let no process write to a file beyond where the ledger's log ends now."""
    size = Path(f"{database.url.database}-wal").stat().st_size
    usual = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    try:
        for pid, (_, hard) in zip(pids, usual, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        for pid, limits in zip(pids, usual, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
