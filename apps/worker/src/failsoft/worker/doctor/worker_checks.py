"""Checks that live workers serve every queue and engine, and that they are all declared here."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Subquery,
    bindparam,
    func,
    literal,
    select,
    text,
    union_all,
)

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.job_engine.validation import did_you_mean
from failsoft.job_engine.values.findings import Finding, fine, warning
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.schema.jobs import IS_PINNED, by_itself, in_state, jobs
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.database import existing_database


def _in_each(states: Iterable[JobState], *columns: ColumnElement[Any]) -> Subquery:
    """Select some columns of the jobs in some states, by the index of each state."""
    return union_all(*(select(*columns).where(in_state(state)) for state in states)).subquery()


_open = _in_each(sorted(set(JobState) - TERMINAL), jobs.c.queue)
#: The open jobs that are restricted to some engines, by those and by queue.
_PINNED = (
    select(jobs.c.engines, by_itself(jobs.c.queue).label("queue"), func.count().label("jobs"))
    .where(text(IS_PINNED))
    .group_by(jobs.c.engines, by_itself(jobs.c.queue))
    .order_by(jobs.c.engines, by_itself(jobs.c.queue))
)
_waiting = _in_each((JobState.SCHEDULED, JobState.OFFERED), jobs.c.name)
#: The waiting jobs by name.
_WAITING = (
    select(_waiting.c.name, func.count().label("jobs"))
    .group_by(_waiting.c.name)
    .order_by(_waiting.c.name)
)
_unknown_name = bindparam("name", type_=jobs.c.name.type)
#: Whether workers have given a waiting job of a name back.
_WAS_RETURNED = union_all(
    *(
        select(literal(1)).where(in_state(state), jobs.c.name == _unknown_name, jobs.c.releases > 0)
        for state in (JobState.SCHEDULED, JobState.OFFERED)
    )
).limit(1)


def open_queues(database: Database) -> Sequence[str]:
    """Return the queues in which jobs are open."""
    queues = select(_open.c.queue).distinct()
    return database.read(lambda connection: connection.execute(queues).scalars().all())


def open_pinned(database: Database) -> Sequence[AnyRow]:
    """Count the open jobs that may run on some engines only."""
    return database.read(lambda connection: connection.execute(_PINNED).all())


def waiting_names(database: Database) -> Sequence[AnyRow]:
    """Count the waiting jobs by name."""
    return database.read(lambda connection: connection.execute(_WAITING).all())


def look_at_workers(settings: Settings) -> Iterator[Finding]:
    """Look for a live worker of each engine for each declared queue, and for others."""
    with existing_database(settings) as database:
        if database is None:
            return
        live = SqlLedger(database).live_workers()
        yield from _missing(settings.offered_engines, live)
        yield from _unnamed(settings, live)
        yield from _pinned(database, live)
        yield from _unknown(settings, database)


def _was_returned(database: Database, name: str) -> bool:
    return database.read(lambda c: c.execute(_WAS_RETURNED, {"name": name}).first()) is not None


def _unknown(settings: Settings, database: Database) -> Iterator[Finding]:
    """Report waiting jobs whose definition is unknown here, and perhaps to every worker."""
    try:
        catalogue = load_catalogue(settings)
    except FailsoftError:
        return  # the check of the job modules reports it
    for row in waiting_names(database):
        if row.name not in catalogue:
            returned = "; workers gave them back" if _was_returned(database, row.name) else ""
            found = f"{row.jobs} wait, and no module of FAILSOFT_JOBS here has the job{returned}"
            remedy = f"deploy a worker that has it{did_you_mean(row.name, _names(catalogue))}"
            yield warning(f"job {row.name}", found, remedy)


def _names(catalogue: Catalogue) -> Sequence[str]:
    return [definition.name for definition in catalogue]


def _missing(engines: Sequence[str], live: Sequence[WorkerRecord]) -> Iterator[Finding]:
    for engine, queue in ((e, q) for e in engines for q in declared_queues()):
        count = sum((worker.engine, worker.queue) == (engine, queue) for worker in live)
        name = f"workers {engine}:{queue}"
        if count:
            yield fine(name, f"{count} live")
        else:
            yield warning(name, "none live", f"failsoft worker {engine} --queue {queue}")


def _unnamed(settings: Settings, live: Sequence[WorkerRecord]) -> Iterator[Finding]:
    """Report the engines and queues of live workers that these settings do not name."""
    for engine in sorted({worker.engine for worker in live}.difference(settings.offered_engines)):
        count = sum(worker.engine == engine for worker in live)
        if variable := settings.disabled.get(engine):
            found = (
                f"{count} live, and {variable} turns it off here: it gets no offers of this program"
            )
            yield warning(f"engine {engine}", found, f"stop them, or change {variable}")
        else:
            found = f"{count} live workers serve it, and FAILSOFT_ENGINES does not name it here"
            remedy = f"add {engine} to FAILSOFT_ENGINES: this program leaves its jobs to others"
            yield warning(f"engine {engine}", found, remedy)
    for queue in sorted({worker.queue for worker in live}.difference(declared_queues())):
        count = sum(worker.queue == queue for worker in live)
        found = f"{count} live workers serve it, and it is not declared here"
        remedy = "name the module that declares it in FAILSOFT_JOBS"
        yield warning(f"queue {queue}", found, remedy)


def _pinned(database: Database, live: Sequence[WorkerRecord]) -> Iterator[Finding]:
    """Report jobs that may run only on engines without a live worker for their queue."""
    served = {(worker.engine, worker.queue) for worker in live}
    for row in open_pinned(database):
        engines = json.loads(row.engines)
        if any((engine, row.queue) in served for engine in engines):
            continue
        names = " or ".join(engines)
        found = f"{row.jobs} in {row.queue} may run on {names} only, which no live worker serves"
        remedy = f"failsoft worker {engines[0]} --queue {row.queue}, or cancel them"
        yield warning("pinned jobs", found, remedy)
