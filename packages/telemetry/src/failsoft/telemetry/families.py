"""The figures of one page, each with its labels."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from failsoft.job_engine.measuring import BOUNDS
from failsoft.job_engine.ports.console import Tally
from failsoft.job_engine.ports.measures import NOTICES, SUM, Series, TableSize
from failsoft.job_engine.records.states import JobState
from failsoft.telemetry.catalogue import METRICS, OUTCOMES, PREFIX, Kind
from failsoft.telemetry.job_names import JobNames
from failsoft.telemetry.reading import Probed, Reading

#: What a figure belongs to: the values of its labels.
Labels = tuple[str, ...]
#: The figures of a metric.
Values = Mapping[Labels, float]
_LIVE = (JobState.SCHEDULED, JobState.OFFERED, JobState.RUNNING, JobState.HELD)
_WAITING = (JobState.SCHEDULED, JobState.OFFERED)
_MICROSECONDS = 1_000_000


def families(
    reading: Reading,
    names: JobNames,
    *,
    probed: Sequence[Probed] | None = None,
    sizes: Sequence[TableSize] = (),
) -> Iterator[Metric]:
    """Return every metric that comes from a look at the ledger, in the order of the catalogue.

    Args:
        reading: The look.
        names: What job names are shown as.
        probed: What probes found; None where there are none.
        sizes: How large the tables were found; empty for not yet.
    """
    names.meet(_names_of(reading))
    gauges = _of_jobs(reading) | _of_processes(reading) | _of_people(reading, names)
    gauges |= _of_tables(sizes)
    gauges |= {} if probed is None else _of_probes(probed)
    counters = _counters(reading, names)
    observed = _histograms(reading.figures.counts, names)
    for name, metric in METRICS.items():
        if metric.kind is Kind.HISTOGRAM:
            yield _histogram(name, observed.get(name, {}))
        elif metric.kind is Kind.COUNTER:
            yield _values(CounterMetricFamily, name, counters.get(name, {}))
        elif name in gauges:
            yield _values(GaugeMetricFamily, name, gauges[name])


def gauge(name: str, values: Values) -> Metric:
    """Return a gauge of the catalogue."""
    return _values(GaugeMetricFamily, name, values)


def _values(
    family: type[GaugeMetricFamily | CounterMetricFamily], name: str, values: Values
) -> Metric:
    metric = METRICS[name]
    made = family(f"{PREFIX}{name}", metric.meaning, labels=metric.labels)
    for labels, value in sorted(values.items()):
        made.add_metric(list(labels), value)
    return made


def _histogram(name: str, values: Mapping[Labels, Mapping[str, int]]) -> Metric:
    metric = METRICS[name]
    made = HistogramMetricFamily(f"{PREFIX}{name}", metric.meaning, labels=metric.labels)
    for labels, counted in sorted(values.items()):
        made.add_metric(
            list(labels),
            list(_cumulative(_BOUNDS_OF[name], counted)),
            counted.get(SUM, 0) / _MICROSECONDS,
        )
    return made


def _cumulative(bounds: Iterable[str], counted: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound in bounds:
        total += counted.get(bound, 0)
        yield bound, total


def _names_of(reading: Reading) -> set[str]:
    figures = reading.figures
    known = {series.name for series in figures.counts} | {each.name for each in figures.ended}
    known |= {each.name for each in figures.failed} | {each.name for each in reading.schedules}
    return known - {""}


def _of_jobs(reading: Reading) -> dict[str, Values]:
    now, live = reading.figures.now, Counter[Labels]()
    places = _places(reading)
    for queue, engine in places:
        for state in _LIVE:
            live[queue, engine, str(state)] += 0
    for each in reading.tally:
        if each.state in _LIVE:
            live[each.queue, each.engine or "", str(each.state)] += each.count
    held: Values = {
        (key[0],): age for key, age in _oldest(reading.tally, (JobState.HELD,), now).items()
    }
    return {
        "jobs": live,
        "queue_oldest_due_seconds": {
            **dict.fromkeys(places, 0.0),
            **_oldest(reading.tally, _WAITING, now),
        },
        "held_oldest_seconds": held,
    }


def _places(reading: Reading) -> set[Labels]:
    """Return every queue with an engine that has, had or serves jobs of it: they begin at 0."""
    found: set[Labels] = {(each.queue, each.engine or "") for each in reading.tally}
    found |= {(each.queue, each.engine) for each in reading.workers}
    return found | {(each.queue, each.engine) for each in reading.figures.ended}


def _oldest(tally: Iterable[Tally], states: Sequence[JobState], now: datetime) -> Values:
    ages = defaultdict[Labels, float](float)
    for each in tally:
        key = (each.queue, each.engine or "")
        if each.state in states:
            since = now if each.oldest_due is None else each.oldest_due
            ages[key] = max(ages[key], (now - since).total_seconds())
    return ages


def _of_processes(reading: Reading) -> dict[str, Values]:
    workers, slots, busy = Counter[Labels](), Counter[Labels](), Counter[Labels]()
    for each in reading.workers:
        key = (each.queue, each.engine)
        workers[key] += 1
        slots[key] += each.slots
        busy[key] += each.info.busy
    # One that was open begins at 0 elsewhere: an alert on an engine needs its series.
    engines = {each.engine for each in reading.workers}
    engines |= {each.engine for each in reading.tally if each.engine}
    opened = Counter[Labels](dict.fromkeys(((engine,) for engine in engines), 0))
    opened.update((each.engine,) for each in reading.breakers)
    return {
        "workers": workers,
        "worker_slots": slots,
        "worker_busy": busy,
        "breaker_open": opened,
    }


def _of_people(reading: Reading, names: JobNames) -> dict[str, Values]:
    figures, now = reading.figures, reading.figures.now
    failed, limited = Counter[Labels](), Counter[Labels]()
    for each in figures.failed:
        failed[names.shown(each.name), each.queue] += each.count
    for name, count in figures.limited.items():
        limited[(names.shown(name),)] += count
    ahead: dict[Labels, float] = {
        (names.shown(each.name),): (each.next_at - now).total_seconds()
        for each in reading.schedules
    }
    paused = {(names.shown(each.name),) for each in reading.schedules if each.paused}
    since: dict[Labels, float] = {
        (each.kind, each.name): 0.0 if each.since is None else (now - each.since).total_seconds()
        for each in reading.pauses
    }
    return {
        "dead_letters": failed,
        "limit_waiting_jobs": limited,
        "waits": {(kind,): figures.waits.get(kind, 0) for kind in ("event", "job", "sleep")},
        "paused": dict.fromkeys(since, 1),
        "paused_since_seconds": since,
        "schedule_next_seconds": {key: max(0.0, left) for key, left in ahead.items()},
        "schedule_late_seconds": {
            key: 0.0 if key in paused else max(0.0, -left) for key, left in ahead.items()
        },
    }


def _of_tables(sizes: Sequence[TableSize]) -> dict[str, Values]:
    return {
        "ledger_bytes": {(each.table,): each.bytes for each in sizes if each.bytes is not None},
        "ledger_rows": {(each.table,): each.rows for each in sizes if each.rows is not None},
    }


def _of_probes(probed: Sequence[Probed]) -> dict[str, Values]:
    up: dict[Labels, float] = {}
    for each in probed:
        up[(each.engine,)] = max(up.get((each.engine,), 0), int(each.is_up))
    backlog: dict[Labels, float] = {
        (each.queue, each.engine): each.backlog for each in probed if each.backlog is not None
    }
    return {"engine_up": up, "engine_backlog": backlog}


def _counters(reading: Reading, names: JobNames) -> Mapping[str, Values]:
    found = defaultdict[str, Counter[Labels]](Counter)
    for each in reading.figures.ended:
        place = (names.shown(each.name), each.queue, each.engine)
        for outcome in OUTCOMES:
            found["jobs_ended"][*place, outcome] += 0
        found["jobs_ended"][*place, each.outcome] += each.count
    for series, count in reading.figures.counts.items():
        if series.measure == NOTICES:
            found["notices"][(series.labels,)] += count
            direction = _DIRECTIONS.get(series.labels)
            if direction is not None:
                found["failovers"][series.engine, direction] += count
        metric = _COUNTERS.get(series.measure)
        if metric is not None:
            found[metric][_labels(metric, series, names)] += count
    return found


def _histograms(
    counts: Mapping[Series, int], names: JobNames
) -> Mapping[str, Mapping[Labels, Mapping[str, int]]]:
    found = defaultdict[str, defaultdict[Labels, Counter[str]]](lambda: defaultdict(Counter))
    for series, count in counts.items():
        metric = _HISTOGRAMS.get(series.measure)
        if metric is not None:
            found[metric][_labels(metric, series, names)][series.le] += count
    return found


def _labels(metric: str, series: Series, names: JobNames) -> Labels:
    """Return the values of a metric's labels; what is none of a series' fields is in its labels."""
    fields = {"queue": series.queue, "engine": series.engine, "to_engine": series.engine}
    rest = iter(series.labels.split("/"))
    values = list[str]()
    for label in METRICS[metric].labels:
        if label == "job":
            values.append(names.shown(series.name))
        else:
            values.append(fields[label] if label in fields else next(rest, ""))
    return tuple(values)


_DIRECTIONS = {"engine.failed_over": "over", "engine.failed_back": "back"}
#: The metric of each measure that is a counter, and of each that is a histogram.
_COUNTERS = {
    "dispatched": "jobs_dispatched",
    "tries": "dispatch_tries",
    "handovers": "handovers",
    "leases_lost": "leases_lost",
    "fenced": "fenced",
    "messages_refused": "messages_refused",
    "messages_rejected": "messages_rejected",
    "retries": "retries",
    "steps": "steps",
    "schedule_skips": "schedule_skips",
}
_HISTOGRAMS = {
    "dispatch": "dispatch_seconds",
    "offer": "offer_seconds",
    "wait": "job_wait_seconds",
    "run": "job_run_seconds",
    "latency": "job_latency_seconds",
}
_BOUNDS_OF = {metric: BOUNDS[measure] for measure, metric in _HISTOGRAMS.items()}
