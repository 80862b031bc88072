"""What waits for people: held jobs and dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.views.search import query_of
from failsoft.job_engine.ports.console import JobSummary, Page
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.states import JobState

_HELD: JobFilter = {"states": (JobState.HELD,)}
_FAILED: JobFilter = {"states": (JobState.FAILED,)}
#: So many held jobs are shown at once, and so many dead letters are grouped.
MOST_HELD = 50
MOST_FAILED = 1000
_PAGE = 200


@dataclass(slots=True)
class Cause:
    """Dead letters that failed alike.

    Attributes:
        name: Their definition.
        error_type: The type of their errors.
        line: The first line of the errors' text.
        query: The query of the list of those of the same name and type.
    """

    name: str
    error_type: str
    line: str
    query: str
    count: int
    first: datetime
    last: datetime
    engines: set[str]
    newest: str


def held(call: Call) -> Response:
    """`GET /held`."""
    page = call.panels.read("held", lambda: _held(call))
    count = call.panel("held-count", lambda ledger: ledger.count(_HELD))
    return call.page(
        "held.html", title="Held", held=page.value or (), panel=page, count=count.value
    )


def failed(call: Call) -> Response:
    """`GET /failed`."""
    panel = call.panels.read("failed", lambda: causes_of(call))
    count = call.panel("failed-count", lambda ledger: ledger.count(_FAILED))
    return call.page(
        "failed.html",
        title="Failed",
        causes=panel.value or (),
        panel=panel,
        count=count.value,
        looked_at=MOST_FAILED,
    )


def _held(call: Call) -> Sequence[tuple[JobRecord, Sequence[str]]]:
    page: Page[JobSummary] = call.ledger.find(_HELD, None, _PAGE)
    oldest_first = [each.id for each in page.items][::-1][:MOST_HELD]
    return [(job, _doubts(call, job.id)) for job in call.ledger.records(oldest_first)]


def _doubts(call: Call, job_id: str) -> Sequence[str]:
    return [step.name for step in call.ledger.steps(job_id) if step.kind is StepKind.INTENT]


def causes_of(call: Call) -> Sequence[Cause]:
    """Return the newest dead letters, grouped by what they failed with, the most first."""
    found: dict[tuple[str, str, str], Cause] = {}
    cursor: str | None = None
    for _ in range(MOST_FAILED // _PAGE):
        page = call.ledger.find(_FAILED, cursor, _PAGE)
        for job in call.ledger.records([each.id for each in page.items]):
            _add(found, job)
        cursor = page.after
        if cursor is None:
            break
    return sorted(found.values(), key=lambda cause: (-cause.count, cause.name))


def _add(found: dict[tuple[str, str, str], Cause], job: JobRecord) -> None:
    kind = job.error.type if job.error else "unknown"
    line = job.error.message.partition("\n")[0][:160] if job.error else ""
    at = job.finished_at or job.created_at
    wanted: JobFilter = {"states": (JobState.FAILED,), "name": (job.name,), "error_type": kind}
    cause = found.get((job.name, kind, line))
    if cause is None:
        cause = Cause(job.name, kind, line, query_of(wanted), 0, at, at, set(), job.id)
        found[job.name, kind, line] = cause
    cause.count += 1
    cause.first, cause.last = min(cause.first, at), max(cause.last, at)
    if job.engine:
        cause.engines.add(job.engine)
