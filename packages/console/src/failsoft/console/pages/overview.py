"""The overview: engines, queues, what waits for people, what happened last."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.dispatcher.fleet import ENDED, FRESH, LAST_HOUR, engine_rows, queue_rows
from failsoft.job_engine.ports.console import Sample, Tally
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState

_CHARTS: Mapping[str, tuple[timedelta, int]] = {
    "1": (timedelta(hours=1), 1),
    "24": (timedelta(hours=24), 15),
    "168": (timedelta(days=7), 120),
}


def overview(call: Call) -> Response:
    """`GET /`."""
    since = datetime.now(UTC) - LAST_HOUR
    tally = call.panel("tally", lambda ledger: ledger.tally())
    workers = call.panel("workers", lambda ledger: ledger.live_workers())
    switches = call.panels.read("switches", lambda: switches_of(call))
    breakers = call.panel("breakers", lambda ledger: ledger.breakers(FRESH))
    samples = call.panel("samples", lambda ledger: ledger.samples(since))
    notices = call.panel("notices", lambda ledger: ledger.notices(limit=20))
    rows = queue_rows(
        tally.value or (), workers.value or (), switches.value or (), samples.value or ()
    )
    events = notices.value.items if notices.value else ()
    engines = engine_rows(
        call.site.environment.engine_names,
        workers.value or (),
        breakers.value or (),
        switches.value or (),
        events,
    )
    return call.page(
        "overview.html",
        title="Overview",
        queues=rows,
        engines=engines,
        totals=_totals(tally.value or ()),
        notices=events[:8],
        panels={"tally": tally, "workers": workers, "notices": notices},
        chart=_chart(call),
    )


def _totals(tally: Sequence[Tally]) -> Mapping[str, int]:
    found: dict[str, int] = {state.value: 0 for state in JobState}
    for each in tally:
        found[each.state] += each.count
    return found


def switches_of(call: Call) -> Sequence[Pause | DisabledEngine]:
    """Return what keeps jobs or offers back: pauses, and engines that are disabled."""
    return [*call.ledger.pauses(), *call.ledger.disabled_engines()]


def _chart(call: Call) -> Mapping[str, object]:
    hours = call.request.query_params.get("hours", "1")
    hours = hours if hours in _CHARTS else "1"
    span, _ = _CHARTS[hours]
    since = datetime.now(UTC) - span
    panel = call.panel(f"chart-{hours}", lambda ledger: ledger.samples(since))
    series = ended_series(panel.value or (), _CHARTS[hours][1])
    return {"hours": hours, "choices": tuple(_CHARTS), "series": series}


def ended_series(samples: Sequence[Sample], minutes: int) -> Sequence[Sequence[float]]:
    """Return what a chart draws: moments, and how many jobs ended since the one before, by outcome.

    Args:
        samples: Figures of minutes; those of ends are totals of all time.
        minutes: How far apart the moments are.
    """
    totals: dict[str, dict[datetime, int]] = {name: defaultdict(int) for name in ENDED}
    for each in samples:
        if each.metric in totals:
            totals[each.metric][each.minute] += each.value
    moments = sorted({minute for found in totals.values() for minute in found})[::minutes]
    columns: list[list[float]] = [[moment.timestamp() for moment in moments[1:]]]
    for name in ENDED:
        values = [totals[name].get(moment, 0) for moment in moments]
        columns.append([max(0, after - before) for before, after in pairwise(values)])
    return columns
