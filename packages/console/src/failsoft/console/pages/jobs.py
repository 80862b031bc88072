"""The list of jobs."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.views.search import line_of, query_of, read_filter, read_limit
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.console import Count, JobSummary, Page, Tally
from failsoft.job_engine.ports.job_filter import JobFilter, digest
from failsoft.job_engine.records.states import JobState

#: The columns that a list may have, with those that it has unless others are chosen.
COLUMNS = ("job", "queue", "engine", "attempts", "age", "progress", "tags", "key", "error", "due")
USUAL = ("job", "queue", "engine", "attempts", "age", "progress", "tags")
#: The states of the tabs; the first stands for all.
TABS: Sequence[str] = ("", *(str(state) for state in JobState))
#: A bulk that acts on what is listed, by the one state that the list has.
_ACTIONS: Mapping[str, Sequence[str]] = {
    JobState.FAILED: ("retry",),
    JobState.HELD: ("resume", "abandon", "cancel"),
    JobState.SCHEDULED: ("cancel",),
    JobState.OFFERED: ("cancel",),
    JobState.RUNNING: ("cancel",),
}
#: What may be done to selected rows of a list of several states; each job refuses what it cannot.
_OF_ANY = ("retry", "cancel")


def jobs(call: Call) -> Response:
    """`GET /jobs`."""
    query = call.request.query_params
    try:
        wanted = read_filter(query.multi_items())
        limit = read_limit(query.get("limit"))
        after = query.get("after") or None
        columns = _columns(query.get("cols"))
        return _listed(call, wanted, after, limit, columns=columns)
    except OptionInvalidError as error:
        # The text that was typed stays where it was, with what is wrong about it.
        pairs = (f"{word}:{value}" for word, value in query.multi_items() if word != "after")
        typed = query.get("q") or " ".join(pairs)
        return call.page("jobs.html", 400, **_empty(typed[:2000], str(error)))


def _listed(
    call: Call, wanted: JobFilter, after: str | None, limit: int, *, columns: Sequence[str]
) -> Response:
    key = "jobs", digest(wanted), after, limit
    page = call.panel(key, lambda ledger: ledger.find(wanted, after, limit))
    tally = call.panel("tally", lambda ledger: ledger.tally())
    count = _count(call, wanted, None if after else page.value)
    states = wanted.get("states") or ()
    state = str(states[0]) if len(states) == 1 else ""
    without = {name: value for name, value in wanted.items() if name != "states"}
    beside = {"limit": str(limit) if limit != 50 else None}  # noqa: PLR2004 - the default
    found = page.value
    return call.page(
        "jobs.html",
        title="Jobs",
        jobs=found.items if found else (),
        columns=columns,
        line=line_of(wanted),
        problem="",
        panel=page,
        tabs=[(tab, _tab_query(without, tab), _tallied(tally.value or (), tab)) for tab in TABS],
        state=state,
        next_query=query_of(wanted, after=found.after, **beside) if found and found.after else "",
        first_query=query_of(wanted, **beside) if after else "",
        looked_through=found.looked_through if found else None,
        count=count,
        actions=_ACTIONS.get(state, ()) if call.may("bulk") else (),
        selectable=(_ACTIONS.get(state, ()) if state else _OF_ANY) if call.may("bulk") else (),
        query=query_of(wanted),
    )


def _count(call: Call, wanted: JobFilter, first: Page[JobSummary] | None) -> Count | None:
    """Return how many jobs a filter chooses; where the first page says so, nothing is counted."""
    if first is not None and (first.after is None or first.looked_through is not None):
        return Count(len(first.items), first.after is not None)
    key = "count", digest(wanted)
    return call.panels.read(key, lambda: call.ledger.count(wanted)).value


def _empty(line: str, problem: str) -> dict[str, Any]:
    return {
        "title": "Jobs",
        "jobs": (),
        "columns": USUAL,
        "line": line,
        "problem": problem,
        "panel": None,
        "tabs": [(tab, _tab_query({}, tab), None) for tab in TABS],
        "state": None,
        "next_query": "",
        "first_query": "",
        "looked_through": None,
        "count": None,
        "actions": (),
        "selectable": (),
        "query": "",
    }


def _tab_query(without: Mapping[str, Any], tab: str) -> str:
    wanted: Any = {**without, "states": (tab,)} if tab else without
    return query_of(wanted)


def _tallied(tally: Sequence[Tally], tab: str) -> int | None:
    """Return how many jobs are in a state; None where that is not counted."""
    if tab in ("", JobState.SUCCEEDED, JobState.CANCELLED):
        return None
    return sum(each.count for each in tally if each.state == tab)


def _columns(text: str | None) -> Sequence[str]:
    if not text:
        return USUAL
    names = text.split(",")
    for name in names:
        if name not in COLUMNS:
            raise OptionInvalidError(f"expected columns ({', '.join(COLUMNS)}), got {name[:40]!r}")
    return names
