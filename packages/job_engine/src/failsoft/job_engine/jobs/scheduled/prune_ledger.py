"""Prune ended jobs from the ledger, as each definition's retention allows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field
from tenacity import wait_exponential, wait_random

from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.telemetry import Event, Listener, ignore

#: The event of the dead letters of a definition that are about to be pruned, with their number.
PRUNING_DEAD_LETTERS = "ledger.pruning_dead_letters"
#: The largest transaction, in jobs.
MAX_BATCH = 500


class LedgerPruner(Protocol):
    """The ledger as pruning needs it. Only jobs that ended are ever touched.

    A job may be pruned if it ended longer ago than `retention.age`, or if `retention.count`
    jobs of its name and state ended after it. Times are the database's.

    Raises, from every method: `LedgerUnavailableError` if the database does not answer.
    """

    def ended_names(self) -> Sequence[str]:
        """Return the names of the definitions that have ended jobs."""
        ...

    def count(self, name: str, state: JobState, retention: Retention) -> int:
        """Count the jobs of a name and a terminal state that may be pruned."""
        ...

    def prune(self, name: str, state: JobState, retention: Retention, limit: int) -> int:
        """Delete at most `limit` of them in one transaction, the oldest first.

        One whose key must outlive it is deleted some time after that was put where it does.

        Returns:
            How many were deleted; 0 when there is nothing left to delete.
        """
        ...

    def note_pruning(self, name: str, count: int) -> None:
        """Record a notice that so many dead letters of a definition are about to be deleted.

        Once an hour for each definition.
        """
        ...

    def prune_groups(self, limit: int) -> int:
        """Delete at most `limit` groups that are over and of which no job is left.

        Returns:
            How many were deleted.
        """
        ...

    def prune_keys(self, limit: int) -> int:
        """Delete at most `limit` remembered keys whose time is over.

        Returns:
            How many were deleted.
        """
        ...

    def prune_outbox(self, limit: int) -> int:
        """Delete at most `limit` records of the outbox that were published long ago.

        Returns:
            How many were deleted.
        """
        ...

    def prune_schedules(self) -> int:
        """Delete the schedules that no program has declared for long, unless they are paused.

        Returns:
            How many were deleted.
        """
        ...


class Pruning(BaseModel):
    """How much to prune at once.

    Attributes:
        batch_size: How many jobs are deleted in one transaction.
        max_jobs: How many jobs of a definition and a state are deleted in one run.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(default=MAX_BATCH, ge=1, le=MAX_BATCH)
    max_jobs: int = Field(default=100_000, ge=1)


class PruneReport(BaseModel):
    """How many jobs were deleted, by definition.

    Attributes:
        succeeded: Jobs that had succeeded.
        cancelled: Jobs that had been cancelled; kept as long as succeeded ones.
        failed: Dead letters.
        groups: How many groups went with the last of their jobs.
        keys: How many keys are remembered no longer.
        outbox: How many records of the outbox went that were published long ago.
        schedules: How many schedules went that no program declares any more.
        unknown: Definitions with ended jobs that this worker does not know, and left alone.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    succeeded: Mapping[str, int]
    cancelled: Mapping[str, int]
    failed: Mapping[str, int]
    groups: int = 0
    keys: int = 0
    outbox: int = 0
    schedules: int = 0
    unknown: tuple[str, ...]


prune_ledger: JobDefinition[Pruning, PruneReport] = declare_job(
    "prune_ledger",
    payload=Pruning,
    result=PruneReport,
    queue="scheduled",
    keep_succeeded=Retention(age=timedelta(days=7), count=100),
    retry=RetryPolicy(max_attempts=3, wait=wait_exponential(multiplier=30) + wait_random(0, 5)),
)


class PruneLedger:
    """The handler of `prune_ledger`.

    Dead letters never go unseen: before any is deleted a warning and a notice say how many, and no
    more than those are deleted.
    """

    def __init__(
        self,
        pruner: LedgerPruner,
        definitions: Callable[[], Iterable[AnyDefinition]],
        listener: Listener = ignore,
    ) -> None:
        """Prune a ledger.

        Args:
            pruner: The ledger.
            definitions: Returns the catalogue; called late, since this job is in it.
            listener: Called with the event of dead letters, which is logged as well.
        """
        self._pruner = pruner
        self._definitions = definitions
        self._listener = listener

    def __call__(self, payload: Pruning, ctx: JobContext) -> PruneReport:
        """Prune what may be pruned; a run that is cut off goes on with what it left.

        Raises:
            LedgerUnavailableError: If the ledger's database does not answer.
        """
        return PruneReport(
            unknown=ctx.run("find-unknown", self._unknown),
            succeeded=ctx.run("prune-succeeded", self._prune, JobState.SUCCEEDED, payload, ctx),
            cancelled=ctx.run("prune-cancelled", self._prune, JobState.CANCELLED, payload, ctx),
            failed=ctx.run("prune-failed", self._prune, JobState.FAILED, payload, ctx),
            groups=ctx.run("prune-groups", prune_groups, self._pruner, payload),
            keys=ctx.run("prune-keys", prune_keys, self._pruner, payload),
            schedules=ctx.run("prune-schedules", self._pruner.prune_schedules),
            outbox=ctx.run("prune-outbox", prune_outbox, self._pruner, payload),
        )

    def _unknown(self) -> tuple[str, ...]:
        # A newer worker may keep them for longer than any default of ours.
        known = {definition.name for definition in self._definitions()}
        return tuple(sorted(set(self._pruner.ended_names()) - known))

    def _prune(self, state: JobState, limits: Pruning, ctx: JobContext) -> dict[str, int]:
        dropped: dict[str, int] = {}
        for definition in self._definitions():
            warn = partial(self._warn, definition, ctx=ctx)
            count = prune(self._pruner, definition, state, limits, warn=warn)
            if count is not None:
                dropped[definition.name] = count
        return dropped

    def _warn(self, definition: AnyDefinition, count: int, *, ctx: JobContext) -> None:
        age = definition.keep_failed.age
        ctx.log.warning(
            "about to prune %d dead letters of %s, kept for %s", count, definition.name, age
        )
        self._listener(pruning_dead_letters(definition, count))


def pruning_dead_letters(definition: AnyDefinition, count: int) -> Event:
    """Return the event of dead letters that are about to be pruned."""
    return Event(
        PRUNING_DEAD_LETTERS,
        name=definition.name,
        queue=definition.queue.name,
        detail={"count": count, "kept_for": str(definition.keep_failed.age)},
    )


def prunable(pruner: LedgerPruner, definition: AnyDefinition, state: JobState) -> int:
    """Count the jobs of a definition that ended so and may be pruned."""
    return pruner.count(definition.name, state, _retention(definition, state))


def prune(
    pruner: LedgerPruner,
    definition: AnyDefinition,
    state: JobState,
    limits: Pruning,
    *,
    warn: Callable[[int], object],
    on_progress: Callable[[int], object] = lambda deleted: None,
) -> int | None:
    """Prune a definition's jobs that ended so, batch by batch.

    Args:
        pruner: The ledger.
        definition: Says how long they are kept.
        state: How they ended.
        limits: How much to prune at once.
        warn: Called with how many dead letters are about to go; no more than those are deleted.
        on_progress: Called after each batch with how many are deleted.

    Returns:
        How many were deleted; None if there was nothing to delete.
    """
    count = min(prunable(pruner, definition, state), limits.max_jobs)
    if count == 0:
        return None
    if state is JobState.FAILED:
        warn(count)
        pruner.note_pruning(definition.name, count)
    retention = _retention(definition, state)
    delete = partial(pruner.prune, definition.name, state, retention)
    total = 0
    for deleted in _in_batches(delete, count, limits.batch_size):
        total += deleted
        on_progress(deleted)
    return total


def prune_groups(pruner: LedgerPruner, limits: Pruning) -> int:
    """Prune the groups of which no job is left, batch by batch; return how many those were."""
    return sum(_in_batches(pruner.prune_groups, limits.max_jobs, limits.batch_size))


def prune_keys(pruner: LedgerPruner, limits: Pruning) -> int:
    """Prune the keys whose time is over, batch by batch; return how many those were."""
    return sum(_in_batches(pruner.prune_keys, limits.max_jobs, limits.batch_size))


def prune_outbox(pruner: LedgerPruner, limits: Pruning) -> int:
    """Prune what was published long ago, batch by batch; return how many records those were."""
    return sum(_in_batches(pruner.prune_outbox, limits.max_jobs, limits.batch_size))


def _in_batches(delete: Callable[[int], int], count: int, size: int) -> Iterator[int]:
    while count > 0 and (deleted := delete(min(size, count))) > 0:
        yield deleted
        count -= deleted


def _retention(definition: AnyDefinition, state: JobState) -> Retention:
    return definition.keep_failed if state is JobState.FAILED else definition.keep_succeeded
