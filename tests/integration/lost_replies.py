"""A ledger that commits a step of the job's own transaction and loses the answer, once."""

from collections.abc import Callable
from typing import Any

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.job import Claim, StepRecord
from failsoft.ledger import SqlLedger


class LosesReplies(SqlLedger):
    """`SqlLedger` whose first `record_in` is committed, and answered by an error."""

    lost = False

    def record_in(self, claim: Claim, step: StepRecord, work: Callable[[Any], str]) -> StepRecord:
        recorded = super().record_in(claim, step, work)
        if not self.lost:
            self.lost = True
            raise LedgerUnavailableError
        return recorded
