"""The ledger as the dispatcher, the rescuer and the scheduler need it."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, select

from failsoft.job_engine.errors import JobNotFoundError
from failsoft.job_engine.ports.measures import Batch
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import CancelOutcome, DispatchTry, JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import (
    EXHAUST,
    OFFER,
    PARK,
    RECOVER,
    REOFFER,
    JobState,
    Transition,
)
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.transitions import apply, compare_and_set, limits, measures
from failsoft.ledger.transitions.apply import After, Cause, Change
from failsoft.ledger.transitions.consequences import invoked_jobs
from failsoft.ledger.transitions.insert_many import insert_tries

#: How an offer is made, by the state the job was seen in.
_OFFERS: dict[JobState, Transition] = {
    JobState.SCHEDULED: OFFER,
    JobState.OFFERED: REOFFER,
    JobState.RUNNING: RECOVER,
}

_BY_ID = select(*jobs.c).where(jobs.c.id == bindparam("job"))
_REASON_CHARS = 255


class SqlOffers(SqlRole):
    """`OfferLedger` on SQL; every method may be repeated after a lost reply (F22)."""

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        """Hand over with a new epoch; None if the job is no longer as it was seen (rule 4)."""
        transition = _OFFERS.get(seen.state)
        if transition is None:
            return None
        values = {"engine": plan.engine, "pickup_by": After(plan.pickup)}
        detail = {"engine": plan.engine, "from": seen.engine, "reason": plan.reason}
        return self._change(transition, seen, values, detail, if_room=plan.if_room)

    def park(self, seen: JobRecord, delay: timedelta, reason: str) -> JobRecord | None:
        """Put an offered job that no engine took back to `scheduled`."""
        values = {"run_at": After(delay), "pickup_by": None}
        return self._change(PARK, seen, values, {"reason": reason})

    def exhaust(self, seen: JobRecord, error: ErrorRecord) -> JobRecord | None:
        """Fail a running job whose lease was lost once too often."""
        return self._change(
            EXHAUST, seen, {"error": rows.error_text(error)}, {"reason": "crash loop"}
        )

    def postpone(self, seen: JobRecord, span: timedelta, *, missed: bool = True) -> None:
        """Look at a waiting job again after `span`: an offer, or one that is due."""
        self._database.write_one(
            lambda raw: apply.postpone(raw, seen, span, missed=missed), "postpone"
        )

    def note_tries(
        self, tries: Sequence[tuple[str, DispatchTry]], measured: Batch | None = None
    ) -> None:
        """Keep what became of offers: pairs of job id and try; and what the process has counted."""
        values = [_noted(job_id, attempt) for job_id, attempt in tries]

        def work(connection: Connection) -> None:
            if values:
                insert_tries(connection, values)
            if measured is not None:
                measures.add(connection, measured)

        if values or measured is not None:
            self._database.write(work)

    def cancel(self, job_id: str, actor: str) -> CancelOutcome:
        """Cancel a job that waits, or ask the attempt that runs it to stop (R20)."""
        return self._database.write(lambda connection: cancel(connection, job_id, actor), "cancel")

    def _change(
        self,
        transition: Transition,
        seen: JobRecord,
        values: dict[str, Any],
        detail: dict[str, Any],
        *,
        if_room: bool = False,
    ) -> JobRecord | None:
        guard = {"state": seen.state, "epoch": seen.epoch, "revision": seen.revision}
        cause, error = Cause(self._actor, detail), values.get("error")
        change = Change(seen.id, guard, values, cause, error)

        def work(connection: Connection) -> AnyRow | None:
            if if_room and not limits.has_room(connection, seen):
                return None
            return apply.apply(connection, transition, change)

        if if_room or transition.target.is_terminal:
            row = self._database.write(work, transition.name)
        else:
            # Nothing is looked up before it and nothing follows from it: one statement, one answer.
            alone = partial(apply.apply_alone, transition=transition, change=change)
            row = self._database.write_one(alone, transition.name)
        return None if row is None else rows.job_record(row)


def cancel(connection: Connection, job_id: str, actor: str) -> CancelOutcome:
    """Cancel a job that waits, or ask the attempt that runs it to stop, in a transaction.

    Raises:
        JobNotFoundError: If there is no such job.
    """
    invoked_jobs.lock_awaited(connection, job_id)
    while True:
        if apply.cancel(connection, job_id, actor) is not None:
            return CancelOutcome.CANCELLED
        if compare_and_set.request_cancel(connection, job_id, Cause(actor, {})):
            return CancelOutcome.REQUESTED
        row = connection.execute(_BY_ID, {"job": job_id}).one_or_none()
        if row is None:
            raise JobNotFoundError(f"expected the id of a job in the ledger, got {job_id!r}")
        # Perhaps it is this very call that did so, and whose reply was lost (F22).
        if JobState(row.state).is_terminal:
            expect_replicated(connection)
            return CancelOutcome.ENDED
        if row.cancel_requested and row.state == JobState.RUNNING:
            expect_replicated(connection)
            return CancelOutcome.REQUESTED
        # Between the two an attempt gave the job back: under READ COMMITTED each saw it move.


def _noted(job_id: str, attempt: DispatchTry) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "epoch": attempt.epoch,
        "engine": attempt.engine,
        "stage": attempt.stage,
        "outcome": attempt.outcome,
        "reason": attempt.reason[:_REASON_CHARS],
        "elapsed_us": int(attempt.elapsed * 1e6),
    }
