"""Carry on an action on all jobs that a filter chooses, turn by turn, until it is through."""

from datetime import timedelta
from itertools import count
from typing import Annotated, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field
from tenacity import wait_exponential, wait_random

from failsoft.job_engine.clock import Clock, Deadline
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.ports.console import BulkRecord, BulkState
from failsoft.job_engine.steps.context import JobContext

#: How long turns follow each other until whatever takes them looks at what else it has to do.
SPAN = timedelta(seconds=1)
#: The pause between two turns, for the other writers.
PAUSE_SECONDS = 0.01


class TurnLedger(Protocol):
    """The ledger as the turns of a bulk need it; see `BulkActions`."""

    def bulk_turn(self, bulk_id: str) -> BulkRecord:
        """Do the action to the next jobs that the filter chooses, in one transaction."""
        ...


class BulkTurns(BaseModel):
    """Which bulk is carried on.

    Attributes:
        bulk_id: The id of its row in the ledger.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    bulk_id: Annotated[str, Field(min_length=1, max_length=64)]


class BulkProgress(BaseModel):
    """How far a bulk has come.

    Attributes:
        state: Whether it goes on, was stopped, or is through.
        done: To how many jobs the action was done.
        failed: How many were not as the action needs them.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    state: BulkState
    done: int
    failed: int


bulk_action: JobDefinition[BulkTurns, BulkProgress] = declare_job(
    "bulk_action",
    payload=BulkTurns,
    result=BulkProgress,
    # Not a queue of the jobs that it may be to cancel: it would wait behind them.
    queue="scheduled",
    retry=RetryPolicy(max_attempts=10, wait=wait_exponential(multiplier=5) + wait_random(0, 5)),
)


def job_id_of(bulk_id: str) -> str:
    """Return the id of the job that carries a bulk on; there is one, however often dispatched."""
    return f"bulk-{bulk_id}"


def take_turns(
    ledger: TurnLedger, bulk_id: str, clock: Clock, span: timedelta = SPAN
) -> BulkRecord:
    """Take turns of a bulk until it is over, or for a span.

    The job and a console's own thread take them by this. Each turn is one transaction, which
    moves the bulk on as well: whatever takes the next one goes on where it was.

    Args:
        ledger: The ledger.
        bulk_id: The bulk.
        clock: Measures the span, and the pauses between two turns.
        span: How long turns follow each other; there is one at least.

    Returns:
        The bulk after the last of them.

    Raises:
        NotFoundError: There is no such bulk.
        LedgerUnavailableError: The ledger's database does not answer.
    """
    deadline = Deadline.after(clock, span)
    while True:
        record = ledger.bulk_turn(bulk_id)
        if record.state is not BulkState.RUNNING or deadline.passed:
            return record
        clock.sleep(PAUSE_SECONDS)


class CarryOnBulk:
    """The handler of `bulk_action`.

    Each of its steps takes turns for a second, so that a worker that stops, or an attempt whose
    lease is lost, goes no further than that. What is done is in the ledger with each turn; an
    attempt that follows repeats none.
    """

    def __init__(self, ledger: TurnLedger, clock: Clock) -> None:
        """Carry on the bulks of a ledger."""
        self._ledger = ledger
        self._clock = clock

    def __call__(self, payload: BulkTurns, ctx: JobContext) -> BulkProgress:
        """Take turns until the bulk is over.

        Raises:
            NotFoundError: There is no such bulk.
            LedgerUnavailableError: The ledger's database does not answer.
        """
        steps = count()
        while True:
            found = ctx.run(f"turns-{next(steps)}", self._turns, payload.bulk_id)
            ctx.progress(found.done + found.failed)
            if found.state is not BulkState.RUNNING:
                return found

    def _turns(self, bulk_id: str) -> BulkProgress:
        record = take_turns(self._ledger, bulk_id, self._clock)
        return BulkProgress(state=record.state, done=record.done, failed=record.failed)
