"""Checking a whole ledger against the invariants: one snapshot, in little memory.

Jobs, events, attempts and steps are read side by side in the order of the primary keys, through
cursors that the server keeps on PostgreSQL, so that no more than one job is held at a time. What
several jobs have to do with each other is read a batch at a time. It blocks no writer, and no
writer blocks it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from failsoft.job_engine.invariants import History, Span, Violation, violations
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.errors import translated
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.upkeep import clock_doubt
from failsoft.ledger.verify import (
    chains,
    children,
    counts,
    groups,
    histories,
    hooks,
    keys_and_limits,
    outbox,
    pauses,
    remembered_keys,
    schedules,
    waits,
)

__all__ = ["BATCH", "Checked", "count_jobs", "verify", "verify_job"]

#: How many jobs are checked between two signs of progress.
BATCH = 500
#: A statement of a look at a large ledger may take longer than one of the ledger's own: minutes.
_PATIENCE = 10

#: What is checked of jobs that have to do with each other.
_TOGETHER: tuple[Callable[[Connection], Iterator[Violation]], ...] = (
    keys_and_limits.one_key_twice,
    remembered_keys.given_twice,
    keys_and_limits.too_many_at_once,
    keys_and_limits.too_many_in_a_period,
    chains.waiting_in_vain,
    chains.started_out_of_turn,
    groups.miscounted,
    groups.missing,
    hooks.set_off_by_nothing,
    schedules.out_of_step,
    schedules.fired_wrongly,
    waits.awaiting_in_vain,
    waits.received_otherwise,
    children.at_odds_with_their_parents,
    pauses.begun_meanwhile,
    outbox.of_no_step,
    counts.at_odds,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """Some jobs that were checked.

    Attributes:
        jobs: How many they were.
        events: How many events their histories have.
        violations: What they break.
    """

    jobs: int
    events: int
    violations: Sequence[Violation]


def count_jobs(database: Database) -> int:
    """Count the jobs of a ledger."""
    statement = select(func.count()).select_from(jobs)
    return database.read(lambda connection: connection.execute(statement).scalar_one())


def verify(database: Database) -> Iterator[Checked]:
    """Check every job of a ledger, batch by batch.

    Raises:
        LedgerUnavailableError: If the database does not answer, or goes away meanwhile.
    """
    with translated(), _snapshot(database) as connection:
        orphans = histories.orphans(connection)
        yield Checked(0, 0, [each for found in orphans.values() for each in found])
        for find in _TOGETHER:
            yield Checked(0, 0, list(find(connection)))
        with_orphans = [table for table, found in orphans.items() if found]
        found = histories.side_by_side(connection, with_orphans)
        yield from _batches(found, clock_doubt.spans(connection))


def verify_job(database: Database, job_id: str) -> Iterator[Checked]:
    """Check the history of one job alone; nothing if there is no such job.

    Raises:
        LedgerUnavailableError: If the database does not answer, or goes away meanwhile.
    """
    with translated(), _snapshot(database) as connection:
        yield from _batches(histories.of_one(connection, job_id), clock_doubt.spans(connection))


@contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    if database.is_sqlite:
        options = {"failsoft_reads": True}
    with database.engine.execution_options(**options).connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("BEGIN")
        else:
            for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
                connection.exec_driver_sql(f"SET LOCAL {timeout} = '{_PATIENCE}min'")
        with _answered_in_time(connection):
            yield connection


@contextmanager
def _answered_in_time(connection: Connection) -> Iterator[None]:
    """Let a server that answers nothing end the look, too; SQLite's connections have no such."""
    driver: Any = connection.connection.dbapi_connection
    if not hasattr(driver, "longest"):
        yield
        return
    before, driver.longest = driver.longest, (_PATIENCE + 1) * 60.0
    try:
        yield
    finally:
        driver.longest = before


def _batches(
    found: Iterator[History | Violation], unsure_spans: Sequence[Span]
) -> Iterator[Checked]:
    checked, seen, broken = 0, 0, list[Violation]()
    for history in found:
        checked += 1
        if isinstance(history, Violation):
            broken.append(history)
        else:
            seen += len(history.events)
            broken += violations(history, unsure_spans)
        if checked == BATCH:
            yield Checked(checked, seen, broken)
            checked, seen, broken = 0, 0, []
    yield Checked(checked, seen, broken)
