"""Groups and chains, and the search that jumps to one thing."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from failsoft.console.call import Call
from failsoft.console.views.search import WORDS, query_of
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.console import JobSummary
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.job import JobRecord

#: So long a chain is shown.
MOST_LINKS = 100
_SHOWN = 50


def groups(call: Call) -> Response:
    """`GET /groups`."""
    after = call.request.query_params.get("after") or None
    panel = call.panel(("groups", after), lambda ledger: ledger.groups(after, _SHOWN))
    page = panel.value
    return call.page(
        "groups.html",
        title="Groups",
        groups=page.items if page else (),
        after=page.after if page else None,
        panel=panel,
    )


def group(call: Call) -> Response:
    """`GET /groups/{id}`."""
    group_id = call.path["id"]
    record = call.ledger.group(group_id)
    after = call.request.query_params.get("after") or None
    wanted: JobFilter = {"group": group_id}
    panel = call.panel(
        ("group", group_id, after), lambda ledger: ledger.find(wanted, after, _SHOWN)
    )
    page = panel.value
    return call.page(
        "group.html",
        title="Group",
        group=record,
        jobs=page.items if page else (),
        after=page.after if page else None,
        panel=panel,
        query=query_of(wanted),
    )


def chain(call: Call) -> Response:
    """`GET /chains/{id}`, by the id of any job of it."""
    job_id = call.path["id"]
    panel = call.panels.read(("chain", job_id), lambda: _links(call, job_id))
    return call.page("chain.html", title="Chain", links=panel.value or (), panel=panel)


def _links(call: Call, job_id: str) -> Sequence[JobSummary | JobRecord]:
    before: list[JobSummary | JobRecord] = []
    at = call.ledger.relatives(job_id).before
    while at is not None and len(before) < MOST_LINKS:
        before.insert(0, at)
        at = call.ledger.relatives(at.id).before
    found = [*before, call.ledger.get(job_id)]
    at = call.ledger.relatives(job_id).then
    while at is not None and len(found) < MOST_LINKS:
        found.append(at)
        at = call.ledger.relatives(at.id).then
    return found


def search(call: Call) -> Response:
    """`GET /search`: jump to a job by its id or key, or else to the list that the text filters."""
    text = call.request.query_params.get("q", "").strip()[:2000]
    if not text:
        return RedirectResponse(call.url("jobs"), 303)
    if not any(text.startswith(f"{word}:") for word in WORDS) and " " not in text:
        for wanted in _guesses(text):
            try:
                found = call.ledger.find(wanted, None, 2).items
            except OptionInvalidError:
                continue
            if len(found) == 1:
                return RedirectResponse(call.url("job", id=found[0].id), 303)
            if found:
                return RedirectResponse(f"{call.url('jobs')}?{query_of(wanted)}", 303)
    return RedirectResponse(f"{call.url('jobs')}?{_typed(text)}", 303)


def _guesses(text: str) -> Sequence[JobFilter]:
    return ({"id": text}, {"key": text}, {"name": (text,)}, {"tag": text})


def _typed(text: str) -> str:
    return urlencode({"q": text})
