"""Queues, workers and engines: what serves the jobs, and how it is paused."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.pages.overview import switches_of
from failsoft.console.views.search import query_of
from failsoft.dispatcher.fleet import FRESH, LAST_HOUR, engine_rows, queue_rows
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.ports.console import JobSummary
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.redaction import redacted

_RUNNING: JobFilter = {"states": (JobState.RUNNING,)}
_MOST_RUNNING = 200


def queues(call: Call) -> Response:
    """`GET /queues`."""
    since = datetime.now(UTC) - LAST_HOUR
    tally = call.panel("tally", lambda ledger: ledger.tally())
    workers = call.panel("workers", lambda ledger: ledger.live_workers())
    pauses = call.panel("pauses", lambda ledger: ledger.pauses())
    samples = call.panel("samples", lambda ledger: ledger.samples(since))
    rows = queue_rows(
        tally.value or (), workers.value or (), pauses.value or (), samples.value or ()
    )
    return call.page("queues.html", title="Queues", queues=rows, panel=tally)


def queue(call: Call) -> Response:
    """`GET /queues/{name}`."""
    name = call.path["name"]
    since = datetime.now(UTC) - LAST_HOUR
    tally = call.panel("tally", lambda ledger: ledger.tally())
    workers = call.panel("workers", lambda ledger: ledger.live_workers())
    pauses = call.panel("pauses", lambda ledger: ledger.pauses())
    samples = call.panel("samples", lambda ledger: ledger.samples(since))
    rows = queue_rows(
        tally.value or (), workers.value or (), pauses.value or (), samples.value or ()
    )
    row = next((each for each in rows if each.name == name), None)
    waiting = call.panel(
        ("queue-jobs", name), lambda ledger: ledger.find(_waiting_in(name), None, 20)
    )
    if row is None and not call.panels.is_away and name not in declared_queues():
        known = ", ".join(each.name for each in rows) or "there is none"
        raise OptionInvalidError(
            f"expected a queue that has jobs or workers ({known}), got another"
        )
    return call.page(
        "queue.html",
        title=f"Queue {name[:40]}",
        name=name,
        row=row,
        tally=[each for each in tally.value or () if each.queue == name],
        workers=[each for each in workers.value or () if each.queue == name],
        jobs=waiting.value.items if waiting.value else (),
        panel=tally,
        query=query_of({"queue": (name,)}),
    )


def workers(call: Call) -> Response:
    """`GET /workers`."""
    live = call.panel("workers", lambda ledger: ledger.live_workers())
    breakers = call.panel("breakers", lambda ledger: ledger.breakers(FRESH))
    running = call.panels.read("running", lambda: _running(call))
    found = sorted(
        live.value or (), key=lambda each: (each.engine, each.queue, each.host, each.pid)
    )
    return call.page(
        "workers.html",
        title="Workers",
        workers=found,
        breakers=breakers.value or (),
        running=running.value or (),
        panel=live,
    )


def _running(call: Call) -> Sequence[tuple[JobSummary, Any]]:
    page = call.ledger.find(_RUNNING, None, _MOST_RUNNING)
    records = {each.id: each for each in call.ledger.records([each.id for each in page.items])}
    return [(each, records.get(each.id)) for each in page.items]


def engines(call: Call) -> Response:
    """`GET /engines`."""
    return _engines(call, {})


def probe(call: Call) -> Response:
    """`POST /engines/{name}/probe`: write what a dispatch would write."""
    name = _engine(call)
    entry = call.entry("probe", "engine", name)
    health = call.act(entry, lambda: [*_probes(call, name)])
    if call.is_api:
        return call.json([{"queue": queue, "health": found} for queue, found in health])
    return _engines(call, {name: health})


def _engines(call: Call, probed: dict[str, Any]) -> Response:
    live = call.panel("workers", lambda ledger: ledger.live_workers())
    breakers = call.panel("breakers", lambda ledger: ledger.breakers(FRESH))
    switches = call.panels.read("switches", lambda: switches_of(call))
    notices = call.panel("notices", lambda ledger: ledger.notices(limit=20))
    rows = engine_rows(
        call.site.environment.engine_names,
        live.value or (),
        breakers.value or (),
        switches.value or (),
        notices.value.items if notices.value else (),
    )
    loads = {
        each.name: call.panels.read(("load", each.name), _load_of(call, each.name)).value
        for each in rows
    }
    return call.page(
        "engines.html",
        title="Engines",
        engines=rows,
        loads=loads,
        probed=probed,
        known=call.site.environment.engine_names,
        panel=live,
    )


def _load_of(call: Call, name: str) -> Any:
    return lambda: call.ledger.engine_load(name)


def _engine(call: Call) -> str:
    name, known = call.path["name"], call.site.environment.engine_names
    if name not in known:
        raise OptionInvalidError(f"expected an engine ({', '.join(known)}), got {name[:40]!r}")
    return name


def _probes(call: Call, name: str) -> Any:
    found = EngineHealth(healthy=True, detail="")
    for queue in declared_queues().values():
        # An engine that is away is probed once, not once for each queue.
        if found.healthy or found.is_refused:
            found = call.site.environment.engines().probe(name, queue)
        yield (
            queue.name,
            EngineHealth(
                healthy=found.healthy,
                detail=redacted(found.detail),
                backlog=found.backlog,
                is_refused=found.is_refused,
            ),
        )


def _waiting_in(name: str) -> JobFilter:
    return {"states": (JobState.OFFERED, JobState.SCHEDULED), "queue": (name,)}
