"""On PostgreSQL each statement reads by the index that it is meant for, without statistics too."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import pytest
from sqlalchemy import Connection, event

from bench.ledger.full_ledger import add_due, fill, vacuum
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.records.job import Progress
from failsoft.job_engine.records.manual_retry import DeadLetters
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import SqlPruner
from failsoft.testing.ledger_suite.fixtures import (
    FAILURE,
    SECOND,
    SUCCESS,
    claimed,
    offered,
    reoffered,
    step,
    ticket,
)
from tests.servers.postgresql.postgres import Postgres
from tests.servers.processes import PATIENCE, wait_until

ROWS = 50_000
OLD = Retention(age=timedelta(days=39))
SUCCEEDED, FAILED = {"states": [JobState.SUCCEEDED]}, {"states": [JobState.FAILED]}

NO_STATISTICS = "ALTER TABLE failsoft_jobs SET (autovacuum_enabled = off)"

Call = Callable[[SqlLedger], object]
#: Of each call the indexes of `failsoft_jobs` that it needs, whatever it has besides.
CALLS: Mapping[str, tuple[Call, set[str]]] = {
    "find, no filter": (lambda ledger: ledger.find({}), {"newest"}),
    "find, failed": (lambda ledger: ledger.find(FAILED), {"dead"}),
    "find, succeeded": (lambda ledger: ledger.find(SUCCEEDED), {"newest"}),
    "find, a queue": (lambda ledger: ledger.find({"queue": "bulk"}), {"of_queue"}),
    "find, a tag": (lambda ledger: ledger.find({"tag": "rare"}), {"tagged"}),
    "find, no such engine": (lambda ledger: ledger.find({"engine": "none"}), {"newest"}),
    "find, a group": (lambda ledger: ledger.find({"group": "none"}), set()),
    "find, beginning of an id": (lambda ledger: ledger.find({"id": "due-1"}), set()),
    "count, no filter": (lambda ledger: ledger.count({}), {"newest"}),
    "chains": (lambda ledger: ledger.chains(), {"newest"}),
    "list_jobs": (lambda ledger: ledger.list_jobs(**SUCCEEDED), {"newest"}),
    "tally": (
        lambda ledger: ledger.tally(),
        {"due_of", "in_running", "in_held"},
    ),
    "causes": (lambda ledger: ledger.causes(), {"dead"}),
    "figures": (lambda ledger: ledger.figures(), {"limited", "awaiting"}),
    "find, failed, no such error": (
        lambda ledger: ledger.find({**FAILED, "error_type": "NoSuchError"}),
        {"dead"},
    ),
    "find, no such worker": (lambda ledger: ledger.find({"worker": "none"}), {"newest"}),
    "find, a text of a name's payloads": (
        lambda ledger: ledger.find({"name": "send_mail_1", "payload": "no such text"}),
        {"of_queue"},
    ),
    "count, no such engine": (lambda ledger: ledger.count({"engine": "none"}), {"newest"}),
    "prune": (
        lambda ledger: SqlPruner(ledger.database).prune(
            "send_mail_1", JobState.SUCCEEDED, OLD, limit=10
        ),
        {"ended"},
    ),
    "count for pruning": (
        lambda ledger: SqlPruner(ledger.database).count("send_mail_1", JobState.SUCCEEDED, OLD),
        {"ended"},
    ),
}


@pytest.fixture(scope="module")
def full(postgres: Postgres) -> Iterator[Database]:
    """A ledger as it is before the server has gathered any statistics."""
    url = postgres.create_database("plans")
    with closing(Database(url, limit=timedelta(minutes=5))) as database:
        upgrade(database)
        database.write(lambda connection: connection.exec_driver_sql(NO_STATISTICS))
        now = int(time() * 1_000_000)
        for _ in fill(database, ROWS, now):
            pass
        add_due(database, 1_000, now)
        yield database
    postgres.drop_database("plans")


def test_no_read_of_many_jobs_goes_through_the_table(full: Database) -> None:
    wrong = {}
    for name, (call, needed) in CALLS.items():
        nodes = [node for plan in plans(full, call) for node in nodes_of(plan)]
        of_jobs = [node for node in nodes if node.get("Relation Name") == "failsoft_jobs"]
        used = {node["Index Name"] for node in nodes if "Index Name" in node}
        missing = {f"ix_failsoft_jobs_{each}" for each in needed} - used
        if missing or any(map(is_of_all, of_jobs)):
            wrong[name] = missing, used

    assert wrong == {}, "by call, the indexes that it did not use, and what it used"


def test_what_a_tally_counts_is_read_from_indexes_alone(full: Database) -> None:
    """Where the server has vacuumed, no row of a job is visited then; nothing is analyzed."""
    vacuum(full)

    nodes = [node for plan in plans(full, SqlLedger.tally) for node in nodes_of(plan)]
    of_jobs = {node["Node Type"] for node in nodes if node.get("Relation Name") == "failsoft_jobs"}

    assert of_jobs == {"Index Only Scan"}


#: `send_mail_1` is frequent, and so is each of two queues, one of which has none of it.
OF_PAIRS: Mapping[str, Call] = {
    "list_jobs, a name": lambda ledger: ledger.list_jobs(name="send_mail_1"),
    "list_jobs, a name and a state": lambda ledger: ledger.list_jobs(
        name="send_mail_1", **SUCCEEDED
    ),
    "list_jobs, a queue": lambda ledger: ledger.list_jobs(queue="bulk"),
    "list_jobs, both": lambda ledger: ledger.list_jobs(queue="bulk", name="send_mail_1"),
    "find, a name": lambda ledger: ledger.find({"name": "send_mail_1"}),
    "find, both, none of them": lambda ledger: ledger.find(
        {"queue": "bulk", "name": "send_mail_1", "worker": "none"}
    ),
    "count, a name": lambda ledger: ledger.count({"name": "send_mail_1"}),
}


def of_failed(**wanted: Any) -> Call:
    """List jobs that have failed."""
    return lambda ledger: ledger.list_jobs(**FAILED, **wanted)


#: Which column is compared in an index of those that have failed.
IN_INDEX: Mapping[str, tuple[Call, str]] = {
    "a queue": (of_failed(queue="rare"), "queue"),
    "a name": (of_failed(name="rare_job"), "name"),
    "an engine": (of_failed(engine="nats"), "engine"),
    "a queue and a name": (of_failed(queue="bulk", name="rare_job"), "name"),
    "dead letters, a queue": (
        lambda ledger: ledger.dead_letters(DeadLetters(queue="rare")),
        "queue",
    ),
    "dead letters, a name": (
        lambda ledger: ledger.dead_letters(DeadLetters(name="rare_job")),
        "name",
    ),
}


def compared(database: Database) -> Mapping[str, set[str]]:
    """Return where the plan of each call of `IN_INDEX` compares its column."""
    found = {}
    for which, (call, column) in IN_INDEX.items():
        nodes = [node for plan in plans(database, call) for node in nodes_of(plan)]
        places = [(node, place) for node in nodes for place in ("Index Cond", "Filter")]
        found[which] = {place for node, place in places if f"({column})" in node.get(place, "")}
    return found


def test_of_the_jobs_of_a_state_only_those_that_are_chosen_are_visited(full: Database) -> None:
    assert compared(full) == {which: {"Index Cond"} for which in IN_INDEX}


# After those that need a server without statistics.
def test_with_statistics_no_other_job_of_a_state_is_visited_either(full: Database) -> None:
    vacuum(full, "VACUUM (ANALYZE)")

    assert compared(full) == {which: {"Index Cond"} for which in IN_INDEX}


def test_with_statistics_no_list_of_a_pair_goes_through_all_jobs(full: Database) -> None:
    vacuum(full, "VACUUM (ANALYZE)")

    used = {
        name: {node.get("Index Name") for plan in plans(full, call) for node in nodes_of(plan)}
        for name, call in OF_PAIRS.items()
    }

    wrong = {name: each for name, each in used.items() if "ix_failsoft_jobs_newest" in each}
    assert wrong == {}
    assert all("ix_failsoft_jobs_of_queue" in each for each in used.values())


def test_what_names_a_job_finds_it_by_its_id_however_many_wait_beside_it(
    postgres: Postgres, postgres_url: str
) -> None:
    with closing(Database(postgres_url)) as database, ThreadPoolExecutor(8) as threads:
        upgrade(database)
        database.write(lambda connection: connection.exec_driver_sql(NO_STATISTICS))
        ledger = SqlLedger(database)
        jobs = [offered(ledger) for _ in range(120)]
        claims = [claimed(ledger, job) for job in jobs[:20]]
        claims += ledger.claim_many([ticket(job) for job in jobs[20:40]])
        claims += threads.map(partial(claimed, ledger), jobs[40:60])
        for claim in claims[:20]:
            ledger.begin(claim, "fetch", 0)
            ledger.record(claim, step())
            ledger.note_progress(claim, Progress(1, 2, "", datetime.now(UTC)))
            ledger.conclude(claim, FAILURE)
        ledger.renew(claims[20:])
        list(threads.map(lambda claim: ledger.conclude(claim, SUCCESS), claims[20:]))
        for job in jobs[60:80]:
            reoffered(ledger, job.id, SECOND)
        for job in jobs[80:100]:
            ledger.postpone(job, timedelta(hours=1))
        for job in jobs[100:]:
            ledger.cancel(job.id, "a person")

    with closing(Database(postgres_url)) as database:
        wait_until(lambda: database.read(_is_alone), PATIENCE, "all others have reported")
        assert database.read(_indexes_read) == {"pk_failsoft_jobs"}


def _is_alone(connection: Connection) -> bool:
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    return connection.exec_driver_sql(others).scalar_one() == 1


def _indexes_read(connection: Connection) -> set[str]:
    """Return the indexes of the jobs in which anything was found, by any session that has ended."""
    found = "SELECT indexrelname FROM pg_stat_user_indexes WHERE idx_tup_read > 0"
    of_jobs = found + " AND relname = 'failsoft_jobs'"
    return set(connection.exec_driver_sql(of_jobs).scalars())


@pytest.mark.parametrize("call", [SqlLedger.tally, SqlLedger.causes, SqlLedger.figures])
def test_on_sqlite_no_figure_is_of_all_jobs(call: Call, tmp_path: Path) -> None:
    """Its plans are the same however many jobs there are: it has no statistics."""
    with closing(Database(f"sqlite:///{tmp_path / 'ledger.db'}")) as database:
        upgrade(database)
        statements = carried_out_by(database, call)

        def explained(connection: Connection) -> list[str]:
            found = []
            for statement, given in statements:
                if "failsoft_jobs" in statement:
                    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
                    found += [row.detail for row in plan]
            return found

        steps = [each for each in database.snapshot(explained) if " failsoft_jobs" in each]

    of_all = ("ix_failsoft_jobs_newest", "ix_failsoft_jobs_of_queue")
    assert steps
    assert [each for each in steps if "INDEX" not in each or each.endswith(of_all)] == []


def carried_out_by(database: Database, call: Call) -> list[tuple[str, Any]]:
    """Return the statements of a call, with their parameters."""
    carried_out: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, given: Any, *rest: Any) -> None:
        carried_out.append((statement, given))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        call(SqlLedger(database))
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return carried_out


def plans(database: Database, call: Call) -> list[Any]:
    """Return the plans of what a call reads, made with the settings that it makes."""
    carried_out = carried_out_by(database, call)

    def explained(connection: Connection) -> list[Any]:
        found = []
        for statement, given in carried_out:
            if "enable_seqscan" in statement:
                connection.exec_driver_sql(statement, given)
            elif "failsoft_jobs" in statement and not statement.lstrip().startswith("DELETE"):
                plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given)
                found.append(plan.scalar_one()[0]["Plan"])
        return found

    found = database.snapshot(explained)
    assert found, "expected that the call reads jobs"
    return found


def is_of_all(node: Mapping[str, Any]) -> bool:
    """Return whether a part of a plan goes through all jobs, by their ids or in no order."""
    by_id = node.get("Index Name") == "pk_failsoft_jobs"
    return node["Node Type"] == "Seq Scan" or (by_id and "Index Cond" not in node)


def nodes_of(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes_of(each)
