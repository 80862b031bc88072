"""What people and programs read of the ledger."""

from collections.abc import Sequence
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, Select, Table, select

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.policies.limits import Limits, LimitUse
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import (
    AttemptRecord,
    DispatchTry,
    HistoryEntry,
    JobRecord,
    StepRecord,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.roles import lists
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, dispatch_attempts, events, steps
from failsoft.ledger.transitions import counts, remembered_keys
from failsoft.ledger.transitions import limits as limit_writes

#: In one statement: between two of them the job would go on.
_HISTORY = select(jobs.c.id, jobs.c.created_at, jobs.c.history, *events.c).select_from(
    jobs.outerjoin(events, events.c.job_id == jobs.c.id)
)


class SqlReader(SqlRole):
    """`LedgerReader` on SQL."""

    def get(self, job_id: str) -> JobRecord:
        """Return a job."""
        found = self._all(select(*jobs.c).where(jobs.c.id == job_id))
        if found:
            return rows.job_record(found[0])
        pruned = self._database.read(lambda c: remembered_keys.find_id(c, job_id))
        if pruned is None:
            raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
        return pruned

    def list_jobs(self, *, limit: int = 50, **wanted: Unpack[JobFilter]) -> Sequence[JobRecord]:
        """Return jobs, the newest first."""
        statement = lists.newest(wanted, limit, is_sqlite=self._database.is_sqlite)

        def work(connection: Connection) -> Sequence[AnyRow]:
            lists.go_by_index(connection)
            return connection.execute(statement).all()

        return [rows.job_record(row) for row in self._database.snapshot(work)]

    def find_ids(self, beginning: str, limit: int) -> Sequence[str]:
        """Return the ids of jobs that begin so, in their order."""
        # Ids are ASCII and sort by their bytes. LIKE of SQLite ignores case and uses no index.
        fits = jobs.c.id.between(beginning, f"{beginning}\x7f")
        statement = select(jobs.c.id).where(fits).order_by(jobs.c.id).limit(limit)
        return [row.id for row in self._all(statement)]

    def steps(self, job_id: str) -> Sequence[StepRecord]:
        """Return the recorded steps in their order."""
        return [rows.step_record(row) for row in self._of_job(steps, job_id, steps.c.seq)]

    def attempts(self, job_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts, the first first."""
        found = self._of_job(attempts, job_id, attempts.c.epoch)
        return [rows.attempt_record(row) for row in found]

    def tries(self, job_id: str) -> Sequence[DispatchTry]:
        """Return the dispatch tries, the first first."""
        found = self._of_job(dispatch_attempts, job_id, dispatch_attempts.c.id)
        return [rows.dispatch_try(row) for row in found]

    def events(self, job_id: str) -> Sequence[HistoryEntry]:
        """Return the history, the first event first."""
        found = self._all(_HISTORY.where(jobs.c.id == job_id))
        return rows.history(found[0], [row for row in found if row.n is not None]) if found else ()

    def limit_uses(self, limits: Limits) -> Sequence[LimitUse]:
        """Return how much of the room is taken that the limits of a job leave."""
        return self._database.read(lambda connection: limit_writes.uses(connection, limits))

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        return self._database.read(counts.by_state)

    def _of_job(self, table: Table, job_id: str, order: ColumnElement[int]) -> Sequence[AnyRow]:
        return self._all(select(*table.c).where(table.c.job_id == job_id).order_by(order))

    def _all(self, statement: Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        return self._database.read(lambda connection: connection.execute(statement).all())
