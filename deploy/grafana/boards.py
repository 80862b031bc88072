"""The boards for Grafana: `make dashboards` writes them beside this file.

Grafana's own SDK builds and encodes them; what a board shows is said here once.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

_WIDTH, _HEIGHT = 12, 8
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Where the boards are.
HERE = Path(__file__).parent


class Shown(NamedTuple):
    """A panel: its title, its unit, its expression, and what a line is called."""

    title: str
    unit: str
    expression: str
    legend: str


def _quantile(share: float, name: str, by: str, where: str = "") -> str:
    rate = f"rate(failsoft_{name}_seconds_bucket{where}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, {by}) ({rate}))"


def _rate(name: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate(failsoft_{name}_total{where}[$__rate_interval]))"


OVERVIEW = (
    Shown("Jobs by state", "short", "sum by (state) (failsoft_jobs)", "{{state}}"),
    Shown("Jobs that ended", "ops", _rate("jobs_ended", "outcome"), "{{outcome}}"),
    Shown("Oldest due job", "s", "max by (queue) (failsoft_queue_oldest_due_seconds)", "{{queue}}"),
    Shown("Time to the claim, 95 %", "s", _quantile(0.95, "job_wait", "queue"), "{{queue}}"),
    Shown("A dispatch, 99 %", "s", _quantile(0.99, "dispatch", "queue"), "{{queue}}"),
    Shown("Dispatches", "ops", _rate("jobs_dispatched", "disposition"), "{{disposition}}"),
    Shown("Workers", "short", "sum by (engine, queue) (failsoft_workers)", "{{engine}} {{queue}}"),
    Shown("Slots", "short", "sum by (engine) (failsoft_worker_slots)", "{{engine}}"),
    Shown("Dead letters", "short", "sum by (job) (failsoft_dead_letters)", "{{job}}"),
    Shown("Size of the ledger", "bytes", "sum(failsoft_ledger_bytes)", "bytes"),
)
_JOB = '{job="$job"}'
ONE_JOB = (
    Shown("Ends", "ops", _rate("jobs_ended", "engine, outcome", _JOB), "{{engine}} {{outcome}}"),
    Shown("An attempt, 50 %", "s", _quantile(0.5, "job_run", "engine", _JOB), "{{engine}}"),
    Shown("An attempt, 99 %", "s", _quantile(0.99, "job_run", "engine", _JOB), "{{engine}}"),
    Shown("Dispatch to end, 95 %", "s", _quantile(0.95, "job_latency", "queue", _JOB), "{{queue}}"),
    Shown("Dead letters", "short", f"sum(failsoft_dead_letters{_JOB}) or vector(0)", "kept"),
)
FAILOVER = (
    Shown("Jobs that ended, by engine", "ops", _rate("jobs_ended", "engine"), "{{engine}}"),
    Shown(
        "Processes that trust an engine no more",
        "short",
        "sum by (engine) (failsoft_breaker_open)",
        "{{engine}}",
    ),
    Shown(
        "Tries to hand jobs over",
        "ops",
        _rate("dispatch_tries", "engine, stage, outcome"),
        "{{engine}} {{stage}} {{outcome}}",
    ),
    Shown("An offer, 99 %", "s", _quantile(0.99, "offer", "engine, outcome"), "{{engine}}"),
    Shown(
        "Hand-overs",
        "ops",
        _rate("handovers", "from_engine, to_engine, reason"),
        "{{from_engine}} to {{to_engine}}: {{reason}}",
    ),
    Shown(
        "Offered and not begun",
        "short",
        'sum by (engine) (failsoft_jobs{state="offered"})',
        "{{engine}}",
    ),
)
BOARDS: Mapping[str, tuple[str, Sequence[Shown]]] = {
    "overview": ("Failsoft: overview", OVERVIEW),
    "one-job": ("Failsoft: one job", ONE_JOB),
    "failover": ("Failsoft: failover", FAILOVER),
}


def written(name: str) -> str:
    """Return a board as JSON."""
    title, shown = BOARDS[name]
    board = (
        Dashboard(title)
        .uid(f"failsoft-{name}")
        .tags(["failsoft"])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    if name == "one-job":
        names = "label_values(failsoft_jobs_ended_total, job)"
        variable = QueryVariable("job").label("Job").datasource(_SOURCE).query(names)
        board = board.with_variable(variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED))
    for each in shown:
        query = Dataquery().expr(each.expression).legend_format(each.legend).ref_id("A")
        panel = Panel().title(each.title).unit(each.unit).datasource(_SOURCE)
        board = board.with_panel(panel.span(_WIDTH).height(_HEIGHT).with_target(query))
    return f"{JSONEncoder(sort_keys=True, indent=2).encode(board.build())}\n"


def main() -> None:
    """Write every board."""
    for name in BOARDS:
        (HERE / f"{name}.json").write_text(written(name))
        sys.stdout.write(f"{name}.json\n")


if __name__ == "__main__":
    main()
