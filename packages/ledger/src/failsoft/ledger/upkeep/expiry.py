"""What may befall a job that waits: it expires, or another dispatch replaces it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from failsoft.job_engine.errors import JobExpiredError
from failsoft.job_engine.ports.clock import spans_of_dispatch
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import EXPIRE, REPLACE, Transition
from failsoft.ledger.database.compiled import read
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import LIMIT_COLUMNS, jobs
from failsoft.ledger.transitions import apply
from failsoft.ledger.transitions.apply import After, Cause, Change

_EXPIRED = (
    select(*jobs.c)
    .where(
        jobs.c.expires_at <= now_us(),
        # As the partial index has it: only a job that was never begun expires.
        jobs.c.expires_at.is_not(None),
        jobs.c.started_at.is_(None),
        jobs.c.finished_at.is_(None),
    )
    .order_by(jobs.c.expires_at, jobs.c.id)
    .limit(bindparam("limit"))
)


def _latest(seen: JobRecord, new: NewJob) -> datetime | None:
    return None if new.latest_in is None else seen.created_at + new.latest_in


class SqlExpiry(SqlRole):
    """`ExpiryLedger` on SQL."""

    def expired(self, limit: int) -> Sequence[JobRecord]:
        """Return jobs that should have begun by now and have not, the oldest first."""
        found = self._database.ask(lambda c: read(c, _EXPIRED, {"limit": limit}))
        return [rows.job_record(row) for row in found]

    def expire(self, seen: JobRecord) -> JobRecord | None:
        """Cancel a job that has expired; None if it is no longer as it was seen."""
        error = rows.error_text(ErrorRecord.of(JobExpiredError()))
        return self._change_waiting(EXPIRE, seen, {"error": error}, {"reason": "expired"})

    def replace(self, seen: JobRecord, new: NewJob) -> JobRecord | None:
        """Give a job that was not begun the payload and the options of another dispatch."""
        values = {
            "queue": new.queue,
            "payload": new.payload,
            "payload_sha": new.payload_sha,
            "version": new.version,
            "priority": new.priority,
            "engines": json.dumps(new.engines),
            "tags": json.dumps(new.tags),
            "run_at": new.run_at or After(new.delay or timedelta(0), _latest(seen, new)),
            "pickup_by": None,
            **dict.fromkeys(LIMIT_COLUMNS),
            **rows.limit_columns(new.limits),
            "expires_at": new.expires_at if new.expires_in is None else After(new.expires_in),
        }
        detail = {"reason": "dispatched again"} | spans_of_dispatch(new, offered=False)
        return self._change_waiting(REPLACE, seen, values, detail)

    def _change_waiting(
        self,
        transition: Transition,
        seen: JobRecord,
        values: Mapping[str, Any],
        detail: Mapping[str, Any],
    ) -> JobRecord | None:
        guard = {"state": seen.state, "epoch": seen.epoch, "revision": seen.revision}
        change = Change(seen.id, guard, values, Cause(self._actor, detail))
        row = self._database.write(lambda c: apply.apply(c, transition, change), transition.name)
        return None if row is None else rows.job_record(row)
