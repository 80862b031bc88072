"""`failsoft ledger copy`: what comes over, what is refused, and which of the two may be used."""

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text, update

from failsoft.job_engine.errors import (
    ConfigurationError,
    LedgerError,
    LedgerSchemaError,
    LedgerUnavailableError,
)
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.copying.rows import TABLES
from failsoft.ledger.copying.run import copy, reopen
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.revision import REVISION, version
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.steps import Progress
from failsoft.ledger.verify import verify
from failsoft.testing.ledger_suite import fixtures
from failsoft.worker.cli import main
from failsoft.worker.exit_codes import CONFIG, OK, TRY_AGAIN
from tests.integration.ledger_copy.conftest import WAYS
from tests.integration.ledger_copy.contents import contents, facts, full_ledger, half_done

every_way = pytest.mark.parametrize("way", WAYS, ids="-to-".join, indirect=True)


@every_way
def test_every_row_comes_over_and_both_sides_are_sound(source: Database, target: Database) -> None:
    full_ledger(source)
    there = contents(source)
    known = SqlLedger(source).ledger_id()

    done = copy(source, target)

    assert contents(target) == there
    assert SqlLedger(target).ledger_id() == known
    assert (done.violations, done.resumed) == (0, False)
    assert done.rows == {t.name.removeprefix("failsoft_"): len(there[t.name]) for t in TABLES}
    check(target)
    assert [v for checked in verify(target) for v in checked.violations] == []
    assert not {name for name in facts(target) if name.startswith("copied")}


@every_way
def test_jobs_of_every_state_go_on_in_the_copy(source: Database, target: Database) -> None:
    found = full_ledger(source)
    before = {state: SqlLedger(source).get(job_id) for state, job_id in found.items()}
    finished = SqlLedger(source).steps(found[JobState.RUNNING])

    copy(source, target)
    ledger = SqlLedger(target, actor="a test")

    assert {state: ledger.get(job_id) for state, job_id in found.items()} == before
    assert ledger.signing_keys() == SqlLedger(source).signing_keys()
    offered = before[JobState.OFFERED]
    claim = fixtures.claimed(ledger, offered)
    ledger.conclude(claim, fixtures.SUCCESS)
    scheduled, created = ledger.record_job(
        fixtures.new_job(idempotency_key="tomorrow"), fixtures.plan()
    )
    assert (scheduled.id, created) == (found[JobState.SCHEDULED], False)
    # The epoch goes on, and the steps that were finished are.
    running = fixtures.claimed(
        ledger, fixtures.reoffered(ledger, found[JobState.RUNNING], fixtures.SECOND)
    )
    assert running.epoch == before[JobState.RUNNING].epoch + 1
    assert ledger.begin(running, "send", 1) == finished[1:] != []
    assert ledger.conclude(running, fixtures.SUCCESS) is JobState.SUCCEEDED
    assert [v for checked in verify(target) for v in checked.violations] == []


def test_tries_are_numbered_on_after_those_that_came_over(
    source: Database, target: Database
) -> None:
    found = full_ledger(source)

    copy(source, target)
    ledger = SqlLedger(target)
    before = ledger.tries(found[JobState.OFFERED])
    job = fixtures.offered(ledger)
    ledger.note_tries([(job.id, before[0])])

    assert len(ledger.tries(job.id)) == len(before) == 1


@every_way
def test_the_ledger_that_was_copied_takes_no_writes_and_no_new_process(
    source: Database, target: Database
) -> None:
    # Both began before the copy, and look at nothing again.
    ledger = SqlLedger(source)
    claim = fixtures.started(ledger)

    copy(source, target)

    refused = pytest.raises(LedgerUnavailableError, match="this ledger was copied to")
    with refused:
        ledger.record_job(fixtures.new_job(), fixtures.plan())
    with pytest.raises(LedgerUnavailableError, match="start this process again"):
        ledger.record(claim, fixtures.step())
    with pytest.raises(LedgerUnavailableError):
        ledger.renew([claim])
    assert ledger.get(claim.job_id).state is JobState.RUNNING
    with pytest.raises(
        LedgerSchemaError, match=re.escape(f"was copied to {target.place}; name that one")
    ):
        check(source)
    with pytest.raises(LedgerSchemaError, match="was copied to"):
        upgrade(source)
    with pytest.raises(LedgerSchemaError, match="was copied to"):
        copy(source, target)


@every_way
def test_it_is_used_again_after_it_was_reopened(source: Database, target: Database) -> None:
    claim = fixtures.started(SqlLedger(source))
    there = contents(source)
    copy(source, target)

    assert (reopen(source), reopen(source)) == (target.place, None)

    check(source)
    assert contents(source) == there
    assert SqlLedger(source).conclude(claim, fixtures.SUCCESS) is JobState.SUCCEEDED


def test_a_target_with_anything_in_it_is_refused(source: Database, target: Database) -> None:
    upgrade(target)
    job = fixtures.offered(SqlLedger(target))
    there = contents(target)

    with pytest.raises(ConfigurationError, match=r"expected an empty database.*jobs"):
        copy(source, target)

    assert contents(target) == there
    assert SqlLedger(target).get(job.id) == job
    check(source)


def test_a_ledger_that_was_just_made_is_as_good_as_an_empty_database(
    source: Database, target: Database
) -> None:
    upgrade(target)
    fixtures.offered(SqlLedger(source))

    copy(source, target)

    assert SqlLedger(target).signing_keys() == SqlLedger(source).signing_keys()


@every_way
def test_another_revision_is_refused(source: Database, target: Database) -> None:
    upgrade(target)
    for database in (target, source):
        database.write(lambda c: c.execute(text("UPDATE failsoft_schema SET version_num = '0000'")))
        with pytest.raises(LedgerSchemaError, match=f"expected .*{REVISION}.*got 0000"):
            copy(source, target)
        database.write(lambda c: c.execute(update(version).values(version_num=REVISION)))


def test_a_copy_onto_itself_is_refused(source: Database, source_url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected another database"):
        copy(source, Database(source_url))


def beat(ledger: SqlLedger, queue: str = "default") -> None:
    worker = WorkerRecord(f"boot-{queue}", "rq", queue, "host-7", 4711, 8)
    ledger.beat(worker, timedelta(hours=1))


def test_live_workers_are_refused_unless_their_queues_are_paused_and_nothing_runs(
    source: Database, target: Database
) -> None:
    ledger = SqlLedger(source)
    beat(ledger)
    claim = fixtures.started(ledger)

    with pytest.raises(LedgerUnavailableError, match=r"rq:default \(pid 4711 on host-7\)"):
        copy(source, target)
    ledger.pause(Pause("queue", "default", "a test"))
    with pytest.raises(LedgerUnavailableError, match="got 1 running jobs"):
        copy(source, target)
    ledger.conclude(claim, fixtures.SUCCESS)
    done = copy(source, target)

    assert done.jobs == 1
    assert SqlLedger(target).pauses() == SqlLedger(source).pauses()


def at(step: str, work: Callable[[], object]) -> Callable[[Progress], None]:
    """Do something when a copy reports that it is through with a step."""

    def report(progress: Progress) -> None:
        if (progress.step, progress.phase) == (step, "done"):
            work()

    return report


def test_a_dispatch_that_comes_meanwhile_is_noticed(source: Database, target: Database) -> None:
    ledger = SqlLedger(source)

    dispatched = at("verify the source", lambda: fixtures.offered(ledger))
    with pytest.raises(LedgerUnavailableError, match=r"jobs 0 → 1.*events 0 → 1"):
        copy(source, target, report=dispatched)

    check(source)
    assert copy(source, target).jobs == 1


@pytest.mark.parametrize("way", WAYS[1:2], ids="-to-".join, indirect=True)
def test_while_rows_are_copied_the_ledger_is_read_and_not_written(
    source: Database, target: Database, source_url: str
) -> None:
    job = fixtures.offered(SqlLedger(source))
    seen: list[str] = []
    # Of another process's connections, with a limit of its own.
    other = SqlLedger(Database(source_url, limit=timedelta(seconds=1)))

    def use() -> None:
        seen.append(other.get(job.id).id)
        try:
            fixtures.offered(other)
        except LedgerUnavailableError:
            seen.append("away")

    copy(source, target, report=at("jobs", use))

    assert seen == [job.id, "away"]
    assert SqlLedger(target).counts() == {JobState.OFFERED: 1}


def test_while_rows_are_copied_no_other_process_writes_to_a_file(
    source: Database, target: Database
) -> None:
    seen: list[str] = []

    def use() -> None:
        # Not by a ledger's writer, which would wait for ten seconds.
        path = str(source.url.database)
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                seen.append(str(error))

    copy(source, target, report=at("jobs", use))

    assert seen == ["database is locked"]


def test_rows_that_differ_are_found_and_the_source_stays_in_use(
    source: Database, target: Database
) -> None:
    full_ledger(source)

    def spoil() -> None:
        one = jobs.c.id.in_([job.id for job in SqlLedger(target).list_jobs(limit=1)])
        target.write(lambda c: c.execute(update(jobs).where(one).values(payload='{"user_id": 8}')))

    with pytest.raises(LedgerError, match=r"rows of jobs in .* with the sum"):
        copy(source, target, report=at("steps", spoil))

    check(source)
    with pytest.raises(LedgerSchemaError, match="unfinished copy"):
        check(target)
    assert copy(source, target, restart=True).violations == 0


def test_broken_promises_come_over_as_they_are_and_are_counted(
    source: Database, target: Database
) -> None:
    job_id = half_done(SqlLedger(source))
    history = select(jobs.c.history).where(jobs.c.id == job_id)
    dispatch, _, *later = json.loads(f"[{source.read(lambda c: c.execute(history).scalar_one())}]")
    gap = update(jobs).where(jobs.c.id == job_id)
    gap = gap.values(history=json.dumps([dispatch, *later])[1:-1])
    source.write(lambda c: c.execute(gap))
    broken = sum(len(checked.violations) for checked in verify(source))

    done = copy(source, target)

    assert done.violations == broken > 0


def test_another_ledgers_unfinished_copy_is_not_gone_on_with(
    source: Database, target: Database, urls: dict[str, str]
) -> None:
    other = Database(urls["other-sqlite"])
    upgrade(other)
    stopped = at("jobs", stop)
    with pytest.raises(KeyboardInterrupt):
        copy(other, target, report=stopped)

    with pytest.raises(LedgerSchemaError, match=f"unfinished copy of {other.place}"):
        copy(source, target)
    assert copy(source, target, restart=True).jobs == 0


def stop() -> None:
    raise KeyboardInterrupt


def run(*words: str, url: str) -> Result:
    given = {**os.environ, "FAILSOFT_LEDGER_URL": url}
    return CliRunner().invoke(main, ["ledger", *words], env=given)


def test_the_command_prints_what_it_did(source: Database, source_url: str, target_url: str) -> None:
    found = full_ledger(source)

    result = run("copy", "--to", target_url, "--json", url=source_url)

    done = json.loads(result.stdout)
    assert result.exit_code == OK, result.output
    count = sum(SqlLedger(source).counts().values())
    assert (done["jobs"], done["violations"], done["resumed"]) == (count, 0, False)
    assert set(done["digests"]) == set(done["rows"])
    progress = [json.loads(line) for line in result.stderr.splitlines()]
    assert {each["step"] for each in progress} >= {"jobs", "compare", "verify the target", "seal"}
    assert run("copy", "--to", target_url, url=source_url).exit_code == CONFIG
    assert run("verify", "--job", found[JobState.RUNNING], url=target_url).exit_code == OK
    reopened = run("reopen", "--json", url=source_url)
    assert json.loads(reopened.stdout)["copied_to"] == done["target"]


def test_the_command_says_to_a_person_what_to_do_next(
    source: Database, source_url: str, target_url: str
) -> None:
    fixtures.ended(SqlLedger(source), JobState.SUCCEEDED)

    result = run("copy", "--to", target_url, url=source_url)

    assert "copied 1 job (" in result.stdout
    assert "Start everything with the new URL in FAILSOFT_LEDGER_URL" in result.stdout
    assert "jobs: done in" in result.stderr


def test_a_ledger_in_use_ends_the_command_with_75(
    source: Database, source_url: str, target_url: str
) -> None:
    beat(SqlLedger(source))

    result = run("copy", "--to", target_url, url=source_url)

    assert result.exit_code == TRY_AGAIN
    assert "failsoft queues pause default" in result.output
