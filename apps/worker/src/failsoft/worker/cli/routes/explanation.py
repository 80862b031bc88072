"""Why a job goes where it goes: the route that covers it, its choice, and what was offered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from failsoft.dispatcher.offering.router import Route
from failsoft.job_engine.records.job import HistoryEntry, JobRecord
from failsoft.job_engine.records.routing.deliveries import OFFERS
from failsoft.job_engine.records.routing.rule import RouteRule, weights_text
from failsoft.job_engine.records.states import JobState
from failsoft.worker.cli.output import console, print_table, show


@dataclass(frozen=True, slots=True)
class RouteReport:
    """Where a job goes, and where it went.

    Attributes:
        rule: The rule that covers it now; None where none does.
        route: The engines for its next offer, as this program would order them now.
        preference: The engines of this program, in its order.
        events: The history of the job.
    """

    job: JobRecord
    rule: RouteRule | None
    route: Route
    preference: Sequence[str]
    events: Sequence[HistoryEntry]

    @property
    def choice(self) -> str | None:
        """The engine that the rule chooses by the job's id."""
        return None if self.rule is None else self.rule.choice(self.job.id)

    def offers(self) -> Sequence[HistoryEntry]:
        """Return the offers of the job, the first first."""
        return [e for e in self.events if e.kind in OFFERS and e.state is JobState.OFFERED]


def print_route(report: RouteReport) -> None:
    """Print the report as text and a table."""
    out, job = console(), report.job
    out.print(f"[bold]{show(job.name)}[/] {show(job.id)} {show(job.state)}{_where(job)}")
    for name, value in _facts(report):
        out.print(f"[dim]{name:<8}[/] {show(value)}", soft_wrap=True)
    rows = ((e.epoch, e.at, e.detail.get("engine"), _reason(e)) for e in report.offers())
    print_table("Offers", ("epoch", "at", "engine", "reason"), rows)


def route_document(report: RouteReport) -> Mapping[str, Any]:
    """Return the report as JSON values."""
    job = report.job
    names = ("id", "name", "queue", "tags", "engines", "state", "engine", "epoch")
    return {
        "job": {name: getattr(job, name) for name in names},
        "route": None if report.rule is None else rule_document(report.rule),
        "choice": report.choice,
        "order": report.route.order,
        "skipped": {each.engine: each.reason for each in report.route.skipped},
        "offers": [
            {"epoch": e.epoch, "at": e.at, "engine": e.detail.get("engine"), "reason": _reason(e)}
            for e in report.offers()
        ],
    }


def rule_document(rule: RouteRule) -> Mapping[str, Any]:
    """Return a rule as JSON values, with the shares that hold now."""
    return asdict(rule) | {"shares": rule.shares()}


def shares_text(rule: RouteRule) -> str:
    """Return the shares that hold now."""
    return weights_text(rule.shares())


def _facts(report: RouteReport) -> Iterator[tuple[str, str]]:
    rule, job = report.rule, report.job
    if rule is not None:
        yield "route", str(rule)
        yield "choice", f"{report.choice}, by the job's id and {shares_text(rule)}"
    elif job.engines:
        yield "route", f"none: the job names its engines, {', '.join(job.engines)}"
    else:
        yield "route", f"none covers it: the preference is {', '.join(report.preference)}"
    yield "order", ", ".join(report.route.order) or "no engine takes it now"
    for each in report.route.skipped:
        yield "not now", f"{each.engine}: {each.reason}"
    for trip in () if rule is None else rule.trips:
        yield "guard", f"{trip.engine} has no share: {trip.reason}"


def _where(job: JobRecord) -> str:
    """Return the engine that has or had the job; a scheduled job is on none."""
    is_on = job.state is not JobState.SCHEDULED and job.engine
    return f" on {show(job.engine)}, epoch {job.epoch}" if is_on else f", epoch {job.epoch}"


def _reason(event: HistoryEntry) -> str:
    return str(event.detail.get("reason") or event.kind)
