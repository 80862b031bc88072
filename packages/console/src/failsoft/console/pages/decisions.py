"""What waits for people: held jobs and dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.views.search import query_of
from failsoft.job_engine.ports.console import Cause, Causes, JobSummary, Page
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.states import JobState

_HELD: JobFilter = {"states": (JobState.HELD,)}
_FAILED: JobFilter = {"states": (JobState.FAILED,)}
#: So many held jobs are shown at once.
MOST_HELD = 50
_PAGE = 200


@dataclass(frozen=True, slots=True)
class ShownCause(Cause):
    """Dead letters that failed alike.

    Attributes:
        query: The query of the list of those of the same name and type.
    """

    query: str


def held(call: Call) -> Response:
    """`GET /held`."""
    page = call.panels.read("held", lambda: _held(call))
    count = call.panel("held-count", lambda ledger: ledger.count(_HELD))
    return call.page(
        "held.html", title="Held", held=page.value or (), panel=page, count=count.value
    )


def failed(call: Call) -> Response:
    """`GET /failed`."""
    panel = call.panel("failed", lambda ledger: ledger.causes())
    count = call.panel("failed-count", lambda ledger: ledger.count(_FAILED))
    return call.page(
        "failed.html",
        title="Failed",
        causes=shown(panel.value) if panel.value else (),
        looked_at=panel.value.jobs if panel.value else 0,
        panel=panel,
        count=count.value,
    )


def _held(call: Call) -> Sequence[tuple[JobRecord, Sequence[str]]]:
    page: Page[JobSummary] = call.ledger.find(_HELD, None, _PAGE)
    oldest_first = [each.id for each in page.items][::-1][:MOST_HELD]
    return [(job, _doubts(call, job.id)) for job in call.ledger.records(oldest_first)]


def _doubts(call: Call, job_id: str) -> Sequence[str]:
    return [step.name for step in call.ledger.steps(job_id) if step.kind is StepKind.INTENT]


def shown(causes: Causes) -> Sequence[ShownCause]:
    """Return causes as a page shows them."""
    return [ShownCause(**_values(each), query=_query_of(each)) for each in causes.items]


def _values(cause: Cause) -> dict[str, Any]:
    return {each.name: getattr(cause, each.name) for each in fields(cause)}


def _query_of(cause: Cause) -> str:
    wanted: JobFilter = {"states": (JobState.FAILED,), "name": (cause.name,)}
    return query_of({**wanted, "error_type": cause.error_type})
