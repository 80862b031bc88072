"""Check that ended jobs are pruned when their retention is over."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.jobs.scheduled.prune_ledger import prunable, prune_ledger
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.findings import Finding, fine, warning
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.upkeep.pruning import SETTLES, SqlPruner
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.database import existing_database

_ENDED = (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED)
_BY_HAND = "run `failsoft ledger prune`"


def look_at_retention(settings: Settings) -> Iterator[Finding]:
    """Count the ended jobs beyond their retention that were not pruned in time."""
    with existing_database(settings) as database:
        if database is None:
            return
        definitions = list(load_catalogue(settings))
        pruner = SqlPruner(database)
        yield _overdue(settings, _counts(pruner, definitions), _since_pruned(database))
        unknown = sorted(set(pruner.ended_names()) - {each.name for each in definitions})
    if unknown:
        found = f"jobs that ended, of {', '.join(unknown)}, which are not known here, are kept"
        remedy = "name the module that declares them in FAILSOFT_JOBS of the workers"
        yield warning("retention unknown", found, remedy)


def _counts(pruner: SqlPruner, definitions: Sequence[AnyDefinition]) -> dict[str, int]:
    counts = {
        each.name: sum(prunable(pruner, each, state) for state in _ENDED) for each in definitions
    }
    return {name: count for name, count in counts.items() if count}


def _since_pruned(database: Database) -> timedelta | None:
    """Return how long ago pruning was last dispatched by its schedule; None if never."""
    now, schedules = SqlLedger(database).schedules()
    last = [each.last_at for each in schedules if each.name == prune_ledger.name]
    return now - last[0] if last and last[0] is not None else None


def _overdue(settings: Settings, counts: dict[str, int], since: timedelta | None) -> Finding:
    total = sum(counts.values())
    # What became due since the last run is pruned by the next, with a key an hour later.
    patience = None if settings.prune is None else 2 * settings.prune + SETTLES
    in_time = patience is not None and since is not None and since <= patience
    if not total or in_time:
        return fine("retention", f"{total} ended jobs wait for the next pruning")
    names = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    found = f"{total} ended jobs are beyond their retention ({names})"
    if settings.prune is None:
        return warning("retention", f"{found}, and FAILSOFT_PRUNE is off", _BY_HAND)
    remedy = f"start a worker for the queue scheduled, which prunes every hour, or {_BY_HAND}"
    return warning("retention", found, remedy)
