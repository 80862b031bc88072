"""The table of routes: every path with its handler and the permission that it demands.

`docs/reference/console-permissions.md` is the same table for people, made from this one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.responses import Response

from failsoft.console.access.roles import Permission
from failsoft.console.api import reads
from failsoft.console.api.description import description
from failsoft.console.call import Call
from failsoft.console.endpoint import Endpoint
from failsoft.console.live.stream import Live
from failsoft.console.pages import (
    actions,
    activity,
    bulk,
    chains,
    decisions,
    fleet,
    flows,
    job,
    jobs,
    overview,
    pauses,
    plumbing,
    schedules,
    selected,
    standing,
)
from failsoft.job_engine.records.pauses import Pausable

_ACT, _PAUSE, _RESOLVE = Permission.ACT, Permission.PAUSE, Permission.RESOLVE
_API = "/api/v1"


def _post(  # noqa: PLR0917 - a row of a table
    path: str, name: str, handler: Callable[[Call], Response], permission: Permission, summary: str
) -> tuple[Endpoint, Endpoint]:
    """Return an action of a screen, and the same in the API."""
    return (
        Endpoint(path, name, handler, permission, ("POST",), summary),
        Endpoint(
            *(f"{_API}{path}", f"api-{name}", handler, permission, ("POST",), summary), is_api=True
        ),
    )


def _pauses(
    path: str, name: str, kind: Pausable, what: str
) -> tuple[tuple[Endpoint, Endpoint], tuple[Endpoint, Endpoint]]:
    """Return the two actions that pause something and let it go on."""
    pause, resume = pauses.pausing(kind), pauses.resuming(kind)
    return (
        _post(f"{path}/pause", f"pause-{name}", pause, _PAUSE, f"Pause {what}"),
        _post(f"{path}/resume", f"resume-{name}", resume, _PAUSE, f"Resume {what}"),
    )


def _read(path: str, handler: Callable[[Call], Response], summary: str) -> Endpoint:
    name = f"api{path.replace('/', '-').replace('{', '').replace('}', '')}"
    return Endpoint(f"{_API}{path}", name, handler, summary=summary, is_api=True)


def endpoints() -> Sequence[Endpoint]:
    """Return the table, for one console."""
    found: list[Endpoint] = [
        *_SCREENS,
        *(each for pair in _ACTIONS for each in pair),
        *_READS,
        Endpoint("/live", "live", Live().stream, summary="News for open pages", is_async=True),
        *_OPEN,
    ]

    def openapi(call: Call) -> Response:
        return call.json(description(found, call.prefix))

    found.append(_read("/openapi.json", openapi, "This description"))
    return found


_SCREENS: Sequence[Endpoint] = (
    Endpoint("/", "overview", overview.overview, summary="Engines, queues, what waits for people"),
    Endpoint("/jobs", "jobs", jobs.jobs, summary="Jobs that a filter chooses"),
    Endpoint("/jobs/{id}", "job", job.job, summary="One job"),
    Endpoint("/jobs/{id}/raw.json", "raw", job.raw, summary="One job as JSON"),
    Endpoint("/held", "held", decisions.held, summary="Jobs that wait for a person"),
    Endpoint("/failed", "failed", decisions.failed, summary="Dead letters by cause"),
    Endpoint("/queues", "queues", fleet.queues, summary="Queues"),
    Endpoint("/queues/{name}", "queue", fleet.queue, summary="One queue"),
    Endpoint("/workers", "workers", fleet.workers, summary="Workers and what they run"),
    Endpoint("/engines", "engines", fleet.engines, summary="Engines"),
    Endpoint("/schedules", "schedules", schedules.schedules, summary="Schedules"),
    Endpoint("/definitions", "definitions", schedules.definitions, summary="Definitions"),
    Endpoint("/definitions/{name}", "definition", schedules.definition, summary="One definition"),
    Endpoint("/groups", "groups", flows.groups, summary="Groups"),
    Endpoint("/groups/{id}", "group", flows.group, summary="One group"),
    Endpoint("/chains", "chains", chains.chains, summary="Chains"),
    Endpoint("/chains/{id}", "chain", flows.chain, summary="One chain"),
    Endpoint("/waits", "waits", standing.waits, summary="Jobs that wait for events"),
    Endpoint(
        "/limits", "limits", standing.limits, summary="Keys of limits and the room they leave"
    ),
    Endpoint("/activity", "activity", activity.activity, summary="What happened and who acted"),
    Endpoint("/search", "search", flows.search, summary="Jump to a job or a list"),
    Endpoint(
        "/bulk", "bulk-new", bulk.bulk_new, Permission.BULK, summary="What a bulk would be done to"
    ),
    Endpoint(
        *("/selected", "selected", selected.selected, Permission.BULK),
        summary="What an action on selected rows would be done to",
    ),
    Endpoint("/bulks/{id}", "bulk", bulk.bulk, summary="One bulk and how far it is"),
)
_ACTIONS: Sequence[tuple[Endpoint, Endpoint]] = (
    _post("/jobs/{id}/retry", "retry", actions.retry_job, _ACT, "Do failed work again"),
    _post("/jobs/{id}/cancel", "cancel", actions.cancel, _ACT, "Cancel a job"),
    _post("/jobs/{id}/replay", "replay", actions.replay, _ACT, "Do work again from a step"),
    _post(
        *("/jobs/{id}/edit-retry", "edit-retry", actions.edit_retry, Permission.PAYLOAD),
        "Do work again with another payload",
    ),
    _post("/jobs/{id}/resume", "resume", actions.resume, _RESOLVE, "Let a held job go on"),
    _post("/jobs/{id}/accept", "accept", actions.accept, _RESOLVE, "Give a held job its result"),
    _post("/jobs/{id}/abandon", "abandon", actions.abandon, _RESOLVE, "Let a held job fail"),
    _post(*("/selected", "act-on-selected", selected.act, Permission.BULK), "Act on selected jobs"),
    _post("/bulk", "bulk-start", bulk.bulk_start, Permission.BULK, "Begin a bulk"),
    _post("/bulks/{id}/stop", "bulk-stop", bulk.bulk_stop, Permission.BULK, "Stop a bulk"),
    *_pauses("/queues/{name}", "queue", "queue", "a queue"),
    *_pauses("/engines/{name}", "engine", "engine", "an engine"),
    *_pauses("/definitions/{name}", "definition", "job", "a definition"),
    _post("/engines/{name}/probe", "probe", fleet.probe, _ACT, "Write what a dispatch would"),
    _post(
        *("/definitions/{name}/dispatch", "dispatch", schedules.dispatch, Permission.DISPATCH),
        "Dispatch a job",
    ),
    _post(
        *("/schedules/{name}/pause", "pause-schedule", schedules.pause_schedule, _PAUSE),
        "Pause a schedule",
    ),
    _post(
        *("/schedules/{name}/resume", "resume-schedule", schedules.resume_schedule, _PAUSE),
        "Resume a schedule",
    ),
    _post(
        *("/schedules/{name}/trigger", "trigger", schedules.trigger, Permission.DISPATCH),
        "Dispatch the job of a schedule",
    ),
    _post(
        *("/waits", "send-event", standing.send_event, Permission.DISPATCH),
        "Send an event to the jobs that wait for it",
    ),
)
_READS: Sequence[Endpoint] = (
    _read("/jobs", reads.jobs, "A page of the jobs that the query chooses"),
    _read("/jobs/count", reads.count, "How many jobs the query chooses"),
    _read("/jobs/{id}", reads.job, "A job's story"),
    _read("/tally", reads.tally, "Jobs by queue, engine and state"),
    _read("/workers", reads.workers, "Live workers"),
    _read("/engines", reads.engines, "Breakers, pauses and switches"),
    _read("/schedules", reads.schedules, "Schedules"),
    _read("/audits", reads.audits, "What people and programs did"),
    _read("/notices", reads.notices, "What happened"),
    _read("/failed", reads.failed, "Dead letters by cause"),
    _read("/samples", reads.samples, "Figures of the last hour's minutes"),
    _read("/waits", reads.waits, "Jobs that wait for events and for others"),
    _read("/limits", reads.limits, "Keys of limits and the room they leave"),
    _read("/bulks", reads.bulks, "Bulks"),
    _read("/bulks/{id}", reads.bulk, "One bulk"),
)


def _open(path: str, name: str, handler: Callable[[Call], Any], summary: str) -> Endpoint:
    return Endpoint(path, name, handler, None, summary=summary)


_OPEN: Sequence[Endpoint] = (
    Endpoint("/login", "login", plumbing.login, summary="Log in"),
    Endpoint("/logout", "logout", plumbing.logout, Permission.VIEW, ("POST",), "Log out"),
    _open("/static/{name}", "static", plumbing.static, "The console's own files"),
    _open("/robots.txt", "robots", plumbing.robots, "Nothing for robots"),
    _open("/healthz", "healthz", plumbing.healthz, "That the process serves"),
)
