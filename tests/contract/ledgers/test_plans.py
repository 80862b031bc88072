"""On a PostgreSQL without statistics, what reads many jobs goes through its indexes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

import pytest
from sqlalchemy import Connection, event

from bench.full_ledger import add_due, fill, vacuum
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import SqlPruner
from tests.servers.postgresql.postgres import Postgres

ROWS = 50_000
OLD = Retention(age=timedelta(days=39))
SUCCEEDED, FAILED = {"states": [JobState.SUCCEEDED]}, {"states": [JobState.FAILED]}

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
        database.write(
            lambda c: c.exec_driver_sql("ALTER TABLE failsoft_jobs SET (autovacuum_enabled = off)")
        )
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
