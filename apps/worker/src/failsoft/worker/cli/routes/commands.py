"""`failsoft routes set|list|clear|explain`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import click

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.routing.guard import Guard
from failsoft.job_engine.records.routing.rule import (
    RouteRule,
    by_match,
    rule_of,
    weights_text,
)
from failsoft.job_engine.validation import Expect
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.jobs.selection import find_id
from failsoft.worker.cli.options import actor, duration_option, json_option, reason_option
from failsoft.worker.cli.output import answer, print_json, print_table, say, when
from failsoft.worker.cli.pause import anyway_option, expect_named
from failsoft.worker.cli.resources import loaded_catalogue, opened_app, opened_ledger
from failsoft.worker.cli.routes import given
from failsoft.worker.cli.routes.explanation import (
    RouteReport,
    print_route,
    route_document,
    rule_document,
    shares_text,
)
from failsoft.worker.configuration.settings import load_settings


@click.group()
def routes() -> None:
    """Share jobs among engines by weights, live; explain where a job goes.

    Every process follows a change within two seconds, without a restart. What was offered before
    stays where it is.
    """


@routes.command("set")
@given.matching_options
@click.option(
    "--to",
    "weights",
    required=True,
    metavar="ENGINE=WEIGHT,...",
    callback=given.weights,
    help="The weight of each engine; the first one named is where a share goes back to.",
)
@duration_option("--for", "lasts", text="How long the route holds; else until it is cleared.")
@click.option(
    "--guard",
    metavar="failures=PERCENT%,wait=DURATION",
    callback=given.guard,
    help="Take a share away where more of its last attempts failed, or waited longer.",
)
@reason_option("Why; shown with the route.")
@anyway_option
@json_option
def set_command(
    *,
    weights: Mapping[str, int],
    lasts: timedelta | None,
    guard: Guard | None,
    reason: str,
    anyway: bool,
    as_json: bool,
    **matching: str | None,
) -> None:
    """Share the jobs of a definition, a tag, a queue, or all others (`default`), by weights.

    A job goes by its id, and keeps its engine: a raised share only adds jobs. The strongest route
    decides: that of the definition, of the first tag that has one, of the queue, the default. A job
    that names its engines follows none. An engine that cannot take a job is passed over.
    """
    kind, name = given.match_of(**matching)
    rule = RouteRule(kind, name, weights, actor(), reason, guard=guard)
    settings = load_settings()
    ledger = opened_ledger(settings)
    if kind in {"job", "queue"}:
        expect_named(settings, ledger, "job" if kind == "job" else "queue", name, anyway=anyway)
    if not anyway:
        live = sorted({worker.engine for worker in ledger.live_workers()})
        known = dict.fromkeys((*settings.engine_names, *live))
        Expect(OptionInvalidError).known("the name of an engine", weights, list(known))
    with acting(ledger, "set", ("route", f"{kind} {name}".rstrip()), reason):
        holds = ledger.set_route(rule, lasts)
    answer(rule_document(holds), str(holds), "green", as_json=as_json)
    if not as_json:
        for line in _notes(holds):
            say(line, "yellow")


@routes.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the routes, the strongest first, with the shares that their guards took away."""
    found = opened_ledger(load_settings()).routes()
    if as_json:
        print_json([rule_document(rule) for rule in found])
        return
    columns = ("route", "weights", "now", "guard", "until", "by", "reason")
    print_table("Routes", columns, map(_row, found), spare=("by", "reason"))
    for rule in found:
        for line in _notes(rule):
            say(line, "yellow")


@routes.command("clear")
@given.matching_options
@json_option
def clear_command(*, as_json: bool, **matching: str | None) -> None:
    """Forget a route, and the shares that its guard took away."""
    kind, name = given.match_of(**matching)
    ledger, covered = opened_ledger(load_settings()), f"{kind} {name}".rstrip()
    with acting(ledger, "clear", ("route", covered)):
        was_set = ledger.clear_route(kind, name)
    found = {"kind": kind, "name": name, "was_set": was_set}
    change = "is cleared" if was_set else "was not set"
    answer(found, f"route of {covered} {change}", "green", as_json=as_json)


@routes.command("explain")
@click.argument("job_id", metavar="ID")
@json_option
def explain_command(*, job_id: str, as_json: bool) -> None:
    """Explain where a job goes: the route that covers it, its choice, and what was offered where.

    The order is that of the next offer that this program would make now; a process whose breaker is
    open passes an engine over besides.
    """
    settings = load_settings()
    loaded_catalogue(settings)  # its modules declare queues
    app = opened_app(settings)
    job = app.ledger.get(find_id(app.ledger, job_id))
    report = RouteReport(
        job,
        rule_of(job, by_match(app.ledger.routes())),
        app.router.route(job, epoch=job.epoch + 1),
        settings.engine_names,
        app.ledger.events(job.id),
    )
    if as_json:
        print_json(route_document(report))
    else:
        print_route(report)


def _row(rule: RouteRule) -> Sequence[object]:
    until = rule.until and when(rule.until)
    guard = rule.guard and str(rule.guard)
    facts = rule.covered(), weights_text(rule.weights), shares_text(rule), guard, until
    return (*facts, rule.actor, rule.reason)


def _notes(rule: RouteRule) -> Iterator[str]:
    for trip in rule.trips:
        back = "" if trip.until is None else f"; it is back at {when(trip.until)}"
        yield f"{trip.engine} has no share by the route of {rule.covered()}: {trip.reason}{back}"
