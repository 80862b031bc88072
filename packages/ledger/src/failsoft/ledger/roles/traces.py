"""The traces of attempts on SQL: each is left for the attempt that comes after it."""

from sqlalchemy import Connection, bindparam, select, update

from failsoft.job_engine.ports.traces import AttemptTrace
from failsoft.job_engine.records.job import Claim
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.schema.tables import attempts

_NOTE = (
    update(attempts)
    .where(
        attempts.c.job_id == bindparam("at_job"),
        attempts.c.epoch == bindparam("at_epoch"),
        attempts.c.claim_id == bindparam("at_claim"),
    )
    .values(trace_context=bindparam("to_context"))
)
_BEFORE = (
    select(attempts.c.trace_context, attempts.c.outcome)
    .where(attempts.c.job_id == bindparam("job"), attempts.c.epoch < bindparam("epoch"))
    .order_by(attempts.c.epoch.desc())
    .limit(1)
)


class SqlTraces(SqlRole):
    """`TraceLedger` on SQL; it may be repeated after a lost reply (F22)."""

    @property
    def system(self) -> str:
        """The kind of the database, as OpenTelemetry names it."""
        return "sqlite" if self._database.is_sqlite else "postgresql"

    def note_trace(self, claim: Claim, context: str) -> AttemptTrace | None:
        """Keep the trace of an attempt, and return that of the newest one before it."""

        def work(connection: Connection) -> AttemptTrace | None:
            mine = {"at_job": claim.job_id, "at_epoch": claim.epoch, "at_claim": claim.claim_id}
            connection.execute(_NOTE, {**mine, "to_context": context})
            if claim.attempt == 1:
                return None
            before = {"job": claim.job_id, "epoch": claim.epoch}
            row = connection.execute(_BEFORE, before).one_or_none()
            if row is None or row.trace_context is None:
                return None
            return AttemptTrace(row.trace_context, row.outcome)

        return self._database.write(work)
