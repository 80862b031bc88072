"""`failsoft ledger verify` on ledgers of both kinds: sound ones, and broken ones."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, delete, text, update

from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import events, groups
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.verify import BATCH
from failsoft.testing.ledger_suite.flow import chains
from failsoft.worker.cli import main
from tests.model.ledgers import fill, job_id

#: More than one batch, and more than travels at once.
JOBS = 2 * BATCH + 7


@pytest.fixture
def database(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", ledger_url)
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        yield database


def test_a_sound_ledger_passes(database: Database) -> None:
    written = fill(database, JOBS)

    result = run("--json")

    report = json.loads(result.stdout)
    assert (result.exit_code, report["sound"], report["listed"]) == (0, True, [])
    assert (report["jobs"], report["events"]) == (JOBS, written)


def test_an_empty_ledger_passes(database: Database) -> None:
    result = run("--json")

    assert (result.exit_code, json.loads(result.stdout)["jobs"]) == (0, 0)


def test_a_person_is_reported_in_a_sentence(database: Database) -> None:
    fill(database, 5)

    result = run()

    # Without engines there are no messages to compare with the ledger.
    said = r"(not looked at .*\n)*[\d,]+ events of 5 jobs in [\d.]+ s: every promise was kept\n"
    assert (result.exit_code, bool(re.fullmatch(said, result.stdout))) == (0, True)


def test_a_job_that_went_on_after_its_end_is_named(database: Database) -> None:
    fill(database, JOBS)
    broken = job_id(0)
    database.write(lambda c: c.execute(_EVENT_AFTER_THE_END, {"job": broken}))

    result = run("--json")

    report = json.loads(result.stdout)
    found = [v for v in report["listed"] if v["invariant"] == "I4"]
    assert (result.exit_code, report["sound"]) == (1, False)
    assert [v["job_id"] for v in found] == [broken]
    assert [event["kind"] for event in found[0]["events"]] == ["succeed", "retry"]


def test_a_person_is_shown_the_job_the_rule_and_the_events(database: Database) -> None:
    fill(database, 1)
    database.write(lambda c: c.execute(_EVENT_AFTER_THE_END, {"job": job_id(0)}))

    result = run()

    assert result.exit_code == 1
    for expected in (
        f"I4 job {job_id(0)}",
        "nothing follows a terminal state",
        "retry ->",
        " I4 1,",
    ):
        assert expected in result.stdout


def test_a_lost_event_is_missed(database: Database) -> None:
    fill(database, JOBS)
    of_the_last = events.c.job_id == job_id(JOBS - 1)
    database.write(lambda c: c.execute(delete(events).where(of_the_last, events.c.n == 2)))

    invariants = listed(run("--json"))

    assert {"rule 22", "rule 4"} <= invariants


def test_counters_are_compared_with_the_events(database: Database) -> None:
    fill(database, 3)
    row = update(jobs).where(jobs.c.id == job_id(0))
    database.write(lambda c: c.execute(row.values(claims=jobs.c.claims + 1)))

    invariants = listed(run("--json"))

    assert invariants == {"rule 18"}


def test_an_unknown_state_is_reported_and_not_a_crash(database: Database) -> None:
    fill(database, 3)
    row = update(jobs).where(jobs.c.id == job_id(1))
    database.write(lambda c: c.execute(row.values(state="lost")))

    result = run("--json")

    assert listed(result) == {"I1", "counts"}
    assert "'lost'" in result.stdout


def test_events_whose_job_is_gone_are_reported_and_the_others_still_checked(
    database: Database,
) -> None:
    fill(database, 5)
    database.write(lambda c: _delete_job_alone(c, job_id(2)))

    result = run("--json")

    report = json.loads(result.stdout)
    assert {(v["job_id"], v["invariant"]) for v in report["listed"]} == {
        (job_id(2), "I1"),
        ("succeeded", "counts"),
    }
    assert report["jobs"] == 4


def test_two_jobs_of_one_idempotency_key_are_reported(database: Database) -> None:
    fill(database, 5)
    database.write(lambda c: _share(c, (job_id(1), job_id(3)), idempotency_key="order-7"))

    assert listed(run("--json")) == {"I10"}


@pytest.mark.parametrize("also", [{}, {"idempotency_key": "order-7"}], ids=["alone", "both"])
def test_two_jobs_that_hold_one_unique_key_are_reported(
    database: Database, also: dict[str, str]
) -> None:
    fill(database, 5)
    held = {"unique_key": "k", "unique_scope": "period", **also}
    database.write(lambda c: _share(c, (job_id(1), job_id(3)), **held))

    result = run("--json")

    assert listed(result) == {"I10"}
    assert len(json.loads(result.stdout)["listed"]) == 1 + len(also)


def test_ended_jobs_of_one_unique_key_are_sound(database: Database) -> None:
    fill(database, 5)
    ended = {"unique_key": "k", "unique_scope": "incomplete"}
    database.write(lambda c: _share(c, (job_id(0), job_id(1)), **ended))

    assert run("--json").exit_code == 0


def test_all_violations_are_counted_and_some_listed(database: Database) -> None:
    fill(database, JOBS)
    database.write(lambda c: c.execute(update(jobs).values(errors=77)))

    report = json.loads(run("--json", "--limit", "3").stdout)

    assert (report["violations"], len(report["listed"])) == (JOBS, 3)
    assert report["by_invariant"] == {"rule 18": JOBS}


def test_a_group_is_named_as_one(database: Database) -> None:
    made = chains.group(SqlLedger(database, actor="tests"), 2)
    row = update(groups).where(groups.c.id == made.id)
    database.write(lambda c: c.execute(row.values(total=7)))

    result = run()

    assert result.exit_code == 1
    assert f"groups group {made.id}" in result.stdout
    assert "got: 2 are open, it counts 0 ends of 7 jobs" in result.stdout


def test_one_job_is_checked_alone(database: Database) -> None:
    fill(database, 3)
    broken, sound = job_id(0), job_id(1)
    written = len(SqlLedger(database).events(sound))
    database.write(lambda c: c.execute(_EVENT_AFTER_THE_END, {"job": broken}))

    kept, found = run("--json", "--job", sound), run("--json", "--job", broken)

    report = json.loads(kept.stdout)
    assert (kept.exit_code, report["sound"], report["jobs"]) == (0, True, 1)
    assert report["events"] == written
    report = json.loads(found.stdout)
    assert (found.exit_code, report["sound"], report["jobs"]) == (1, False, 1)
    assert {(v["job_id"], v["invariant"]) for v in report["listed"]} >= {(broken, "I4")}
    assert {v["job_id"] for v in report["listed"]} == {broken}
    assert report["by_invariant"]["I4"] == 1


def test_the_beginning_of_an_id_stands_for_the_job_that_is_checked(database: Database) -> None:
    fill(database, 5)

    result = run("--job", job_id(3)[:6])

    said = r"[\d,]+ events of 1 job in [\d.]+ s: every promise was kept\n"
    assert (result.exit_code, bool(re.fullmatch(said, result.stdout))) == (0, True)


def test_the_limit_holds_for_one_job(database: Database) -> None:
    fill(database, 1)
    database.write(lambda c: c.execute(update(jobs).values(errors=77)))

    report = json.loads(run("--json", "--limit", "0", "--job", job_id(0)).stdout)

    assert (report["violations"], report["listed"]) == (1, [])


def test_one_job_that_cannot_be_read_is_reported(database: Database) -> None:
    fill(database, 2)
    database.write(lambda c: c.execute(update(jobs).values(state="lost")))

    result = run("--json", "--job", job_id(1))

    assert listed(result) == {"I1"}
    assert "'lost'" in result.stdout


def test_a_job_that_is_not_there_cannot_be_checked(database: Database) -> None:
    fill(database, 2)

    result = run("--job", "01a2ffff")

    assert result.exit_code == 1
    assert "JobNotFoundError: expected the id of a job in the ledger" in result.stderr


def test_a_ledger_without_tables_is_refused(
    empty_ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", empty_ledger_url)

    result = run("--json")

    assert result.exit_code == 78
    assert "failsoft ledger upgrade" in result.stderr


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ledger", "verify", *arguments], catch_exceptions=False)


def listed(result: Result) -> set[str]:
    assert result.exit_code == 1
    return {violation["invariant"] for violation in json.loads(result.stdout)["listed"]}


_EVENT_AFTER_THE_END = text(
    "INSERT INTO failsoft_events (job_id, n, at, actor, kind, state, epoch)"
    " SELECT job_id, n + 1, at, actor, 'retry', 'succeeded', epoch"
    " FROM failsoft_events WHERE job_id = :job AND kind = 'succeed'"
)


def _delete_job_alone(connection: Connection, job: str) -> None:
    _without_constraints(connection)
    connection.execute(delete(jobs).where(jobs.c.id == job))


def _share(connection: Connection, ids: Sequence[str], **same: str) -> None:
    _without_constraints(connection)
    connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(name="send", **same))


def _without_constraints(connection: Connection) -> None:
    # What a careless restore does: a copy of the rows in a table without its constraints.
    connection.execute(text("ALTER TABLE failsoft_jobs RENAME TO failsoft_jobs_before"))
    connection.execute(text("CREATE TABLE failsoft_jobs AS SELECT * FROM failsoft_jobs_before"))
